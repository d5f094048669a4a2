"""The measurement `probe`: what an attempt to reach a target came to. All kinds of probes share it, so that one rule watches all of them."""

from watchdesk_proto.catalogue import Measurement, Type, gauge, label, text

MEASUREMENT = Measurement(
    name="probe",
    help="What the attempts to reach targets came to. Phases that an attempt did not come to, or that its kind does not have, are null.",
    columns=(
        label("probe", "The probe's name in the configuration."),
        label("kind", "How it tries: tcp or http."),
        label("target", "What it tries to reach: host:port or a URL."),
        gauge("success", "1 when the target answered as it should; 0 otherwise.", type=Type.INT64),
        gauge("duration_seconds", "The whole attempt.", unit="seconds"),
        gauge("dns_seconds", "Looking up the address; null when the target is one.", unit="seconds"),
        gauge("connect_seconds", "Connecting (TCP).", unit="seconds"),
        gauge("tls_seconds", "Agreeing on encryption (TLS handshake).", unit="seconds"),
        gauge("first_byte_seconds", "From sending the request to the head of the answer.", unit="seconds"),
        gauge("status_code", "The HTTP status of the last answer.", type=Type.INT64),
        gauge("certificate_expires_seconds", "Time until the target's certificate expires; negative when it has.", unit="seconds"),
        text("error", "Why the attempt failed; null when it succeeded."),
    ),
)
