"""The error for Google credentials that do not work, for every client."""

from google.auth.exceptions import GoogleAuthError

from analytics_export.errors import ExportError, Misconfigured, UpstreamUnavailable


def no_credentials(exc: GoogleAuthError) -> ExportError:
    """Return UpstreamUnavailable where the token service may answer later, else Misconfigured."""
    if exc.retryable:
        return UpstreamUnavailable("Google's token service did not answer. Call again later.")
    return Misconfigured("No Google credentials were found or accepted; give the function a service account.")
