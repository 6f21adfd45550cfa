"""The settings of infrastructure, and the limits of Service Bus. Imports no SDK."""
