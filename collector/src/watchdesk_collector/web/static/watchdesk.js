// Keeps the page fresh: an event says that there is something new, the server-rendered fragment is fetched and what differs is swapped in.
// Without this script the page is the same, only as old as its last load.
"use strict";

(() => {
  const main = document.querySelector("[data-fragment]");
  const sign = document.getElementById("live");
  let source = null;
  let version = main.dataset.version || "";
  let isFetching = false;

  function tell(text, isLive) {
    sign.hidden = false;
    sign.textContent = text;
    sign.classList.toggle("is-live", isLive);
  }

  // Makes `now` like `wanted` and leaves alone what is the same, so that focus, selection and scroll stay where they are.
  function swap(now, wanted) {
    if (now.isEqualNode(wanted)) return;
    const isSameKind = now.nodeType === Node.ELEMENT_NODE && wanted.nodeType === Node.ELEMENT_NODE && now.tagName === wanted.tagName && now.id === wanted.id;
    if (!isSameKind) {
      now.replaceWith(wanted.cloneNode(true));
      return;
    }
    for (const name of now.getAttributeNames()) if (!wanted.hasAttribute(name)) now.removeAttribute(name);
    for (const name of wanted.getAttributeNames()) if (now.getAttribute(name) !== wanted.getAttribute(name)) now.setAttribute(name, wanted.getAttribute(name));
    swapChildren(now, wanted);
  }

  // Children with an id are the same thing wherever they stand; the others are matched in order.
  function swapChildren(now, wanted) {
    const nowById = new Map([...now.children].filter((child) => child.id).map((child) => [child.id, child]));
    const wantedIds = new Set([...wanted.children].map((child) => child.id));
    let here = now.firstChild;
    const stepOver = () => (here = here.nextSibling);
    for (const child of wanted.childNodes) {
      while (here?.id && !wantedIds.has(here.id)) {
        const gone = here;
        stepOver();
        gone.remove();
      }
      const known = child.id && nowById.get(child.id);
      if (known) {
        if (known === here) stepOver();
        else now.insertBefore(known, here);
        swap(known, child);
      } else if (child.id || !here || here.id) {
        now.insertBefore(child.cloneNode(true), here);
      } else {
        const old = here;
        stepOver();
        swap(old, child);
      }
    }
    while (here) {
      const gone = here;
      stepOver();
      gone.remove();
    }
  }

  async function refresh(newVersion) {
    if (newVersion === version || isFetching) return;
    isFetching = true;
    try {
      const answer = await fetch(main.dataset.fragment, { headers: { Accept: "text/html" } });
      if (!answer.ok) throw new Error(answer.statusText);
      const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
      const focused = document.activeElement;
      for (const part of parsed.querySelectorAll("[data-part]")) swapChildren(main.querySelector(`[data-part="${part.dataset.part}"]`), part);
      if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
      version = answer.headers.get("X-Version") || newVersion;
      document.dispatchEvent(new Event("watchdesk:fresh"));
      tell("live", true);
    } catch {
      tell("could not refresh, trying again", false);
    } finally {
      isFetching = false;
    }
  }

  function open() {
    if (source || document.hidden) return;
    source = new EventSource("/events");
    source.addEventListener("open", () => tell("live", true));
    source.addEventListener("status", (event) => refresh(event.data));
    source.addEventListener("error", () => {
      const isOver = source.readyState === EventSource.CLOSED;
      tell(isOver ? "not refreshing: reload for fresh data" : "connecting again", false);
    });
  }

  // Hidden pages hold no connection: browsers allow six per site, and nobody looks.
  function close() {
    if (source) source.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  open();
})();
