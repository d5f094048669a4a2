"""`watchdesk demo`: the whole product on this machine, from real counters to a message.

A collector and an agent are started as the commands that they are, with a mail server and a webhook server beside them; one alert is raised and
recovers; at the end every sample is accounted for. Everything lies in one folder, and every process is ended by its pid.
"""
