"""Name what FlowKit raises on malformed gates, beside FlowKitException."""

FLOWKIT_ERRORS = (LookupError, ValueError, TypeError, AttributeError, RecursionError, SyntaxError)
