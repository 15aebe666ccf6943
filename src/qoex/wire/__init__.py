"""What crosses the wire between the agent and its clients, once for both ends.

reports     what nodes send: types for whoever writes them, forms for who reads them
fields      what single fields of reports mean, in which unit and range
answers     what the agent answers: models for whoever reads them, schemas for its description
rules       what must hold within one report, beyond each field by itself
names       what nodes and keys may be called
problems    refusals (RFC 9457)
"""
