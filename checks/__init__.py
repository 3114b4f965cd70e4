"""The rules that ColIntern ships, one folder a subject."""
