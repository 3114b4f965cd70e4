"""Files into frozen, typed records: no judgement, no torch."""
