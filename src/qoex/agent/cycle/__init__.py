"""One cycle after the other: snapshot, decision, publication; and its replay."""
