"""Tables for people: functions from typed records to text. Nothing here prints."""
