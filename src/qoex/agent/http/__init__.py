"""The agent over HTTP: what it answers, to whom, and what it refuses.

app         puts everything below together
gate        what every request passes: host, token, rate; and what every answer carries
problems    refusals as RFC 9457 problem details
security    whose token it is, and what it allows
limits      token buckets, counted streams
bodies      bodies of requests, read within limits; JSON without ambiguity
events      server-sent events
routes      one module for each subject
"""
