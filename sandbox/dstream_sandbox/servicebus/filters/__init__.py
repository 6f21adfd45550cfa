"""Selects the messages of a subscription: the SQL filter language, correlation filters, and rule actions."""
