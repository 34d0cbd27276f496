"""This module is the login by oauth2-proxy, and the providers that it asks."""

from __future__ import annotations

import re

from constructs import Construct

from mcpmesh_k8s.kubernetes import (
    Alert,
    Compute,
    Container,
    External,
    HttpGet,
    Image,
    Internet,
    IssuedKey,
    KeyForm,
    Listener,
    MetricsEndpoint,
    Peer,
    Port,
    Probes,
    RandomKey,
    Scratch,
    Secret,
    SettingError,
    Severity,
    User,
    Variable,
    Workload,
    WorkloadOptions,
    WorkloadSettings,
    dataclass,
    variables,
)

from .login import LOGIN_COOKIE, LOGIN_PATH, LONGEST_MEMORY, Login, LoginPages, NewSecret, Question

USER = User(uid=65532, gid=65532)
"""The user ``nonroot`` of the distroless image."""

TRIES = 5
"""How many tries to sign in a browser may have under way."""

_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+|\*")


@dataclass(frozen=True, kw_only=True)
class Google:
    """Google vouches.

    Credentials: Google Cloud console, APIs & Services, Credentials, OAuth client ID of a web application, with the
    redirect URI ``https://<host>/oauth2/callback``.
    """

    name = "google"
    console = "Google, console.cloud.google.com"
    port = 443
    hosts = ("accounts.google.com", "oauth2.googleapis.com", "openidconnect.googleapis.com", "www.googleapis.com")

    def variables(self) -> dict[str, str]:
        """What oauth2-proxy is told."""
        return {"OAUTH2_PROXY_PROVIDER": "google", "OAUTH2_PROXY_CODE_CHALLENGE_METHOD": "S256"}

    @property
    def peer(self) -> Peer:
        """Where it is."""
        return Internet()


@dataclass(frozen=True, kw_only=True)
class GitHub:
    """GitHub vouches for the members of an organization.

    Args:
        organization: The organization whose members may sign in; anyone with an account unless given.
    """

    organization: str = ""
    name = "github"
    console = "GitHub, github.com/settings/developers"
    port = 443
    hosts = ("github.com", "api.github.com")

    def __post_init__(self) -> None:
        """Refuse an organization that GitHub cannot have: nobody would be a member."""
        if self.organization and not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]{0,37}[A-Za-z0-9])?", self.organization):
            raise SettingError(
                "GitHub.organization", self.organization, "Give its name as in github.com/<name>, without the address."
            )

    def variables(self) -> dict[str, str]:
        """What oauth2-proxy is told."""
        told = {"OAUTH2_PROXY_PROVIDER": "github", "OAUTH2_PROXY_SCOPE": "user:email read:org"}
        return told | ({"OAUTH2_PROXY_GITHUB_ORG": self.organization} if self.organization else {})

    @property
    def peer(self) -> Peer:
        """Where it is."""
        return Internet()


@dataclass(frozen=True, kw_only=True)
class OpenIdConnect:
    """Any provider that speaks OpenID Connect vouches.

    Args:
        issuer: Its issuer URL, ``https://``.
        peer: Where it is; anywhere on the internet unless given. It listens on the port of the issuer's URL. Where it
            does not, as a pod behind a Service, or where its host leads back into the cluster, each as a `Listener`.
    """

    issuer: str
    peer: Peer | tuple[Listener, ...] = Internet()
    name = "oidc"

    def __post_init__(self) -> None:
        """Refuse an issuer that anyone on the way could play."""
        if not re.fullmatch(r"https://[a-z0-9.-]+(:\d+)?(/[\w./~-]*)?", self.issuer, re.ASCII):
            raise SettingError(
                "OpenIdConnect.issuer", self.issuer, "Give an https URL, such as 'https://id.example.com'."
            )

    @property
    def console(self) -> str:
        """Who issues the credentials."""
        return f"the provider, {self.issuer}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """Its host."""
        return (self.issuer.split("/")[2].partition(":")[0],)

    @property
    def port(self) -> int:
        """Its port."""
        return int(self.issuer.split("/")[2].partition(":")[2] or 443)

    def variables(self) -> dict[str, str]:
        """What oauth2-proxy is told."""
        return {
            "OAUTH2_PROXY_PROVIDER": "oidc",
            "OAUTH2_PROXY_OIDC_ISSUER_URL": self.issuer,
            # The groups of a person, of which there may be hundreds, would lie in the cookie, and nobody reads them.
            # The claim has to be one that each token has: for any other it would ask the provider once more.
            "OAUTH2_PROXY_SCOPE": "openid email profile",
            "OAUTH2_PROXY_OIDC_GROUPS_CLAIM": "sub",
            # It skips this unless told. A token that was made for another login is then refused.
            "OAUTH2_PROXY_INSECURE_OIDC_SKIP_NONCE": "false",
            "OAUTH2_PROXY_CODE_CHALLENGE_METHOD": "S256",
        }


Provider = Google | GitHub | OpenIdConnect
"""Whom oauth2-proxy asks."""


@dataclass(frozen=True, kw_only=True)
class OAuth2ProxySettings(WorkloadOptions):
    """A login by oauth2-proxy.

    Args:
        image: The image.
        compute: CPU and memory.
        host: The host people type: where the provider sends them back to.
        provider: Who vouches.
        email_domains: Whose addresses may sign in; ``("*",)`` is anyone the provider vouches for.
        session_hours: Hours until one has to sign in again. Sessions lie in an encrypted cookie, so that any number
            of pods works, and none is lost with one.
        remembered_seconds: For how long the gateway remembers whom it vouched for, and does not ask again: 60 at most.
            So much longer a session may go on that has ended, or that a new `cookie-secret` should end. 0 is never.
        name: The short name.
    """

    image: Image
    compute: Compute
    host: str
    provider: Provider
    email_domains: tuple[str, ...]
    session_hours: int = 12
    remembered_seconds: int = 5
    name: str = "oauth2-proxy"

    def __post_init__(self) -> None:
        """Refuse domains that are none."""
        super().__post_init__()
        for domain in self.email_domains or ("",):
            if not _DOMAIN.fullmatch(domain):
                raise SettingError(
                    "OAuth2ProxySettings.email_domains", domain, "Give 'example.com', or '*' for anyone."
                )
        if self.session_hours < 1:
            raise SettingError("OAuth2ProxySettings.session_hours", self.session_hours, "Give 1 or more.")
        if not 0 <= self.remembered_seconds <= LONGEST_MEMORY:
            raise SettingError(
                "OAuth2ProxySettings.remembered_seconds", self.remembered_seconds, f"Give 0 to {LONGEST_MEMORY}."
            )

    @property
    def secret_keys(self) -> tuple[IssuedKey | RandomKey, ...]:
        """The keys its Secret must hold: the provider's credentials, and 32 random bytes for the cookie.

        These are written in URL-safe base64: oauth2-proxy does not read ``+`` and ``/``, and refuses to start.
        """
        issued = (IssuedKey(key=key, issued_by=self.provider.console) for key in ("client-id", "client-secret"))
        return (*issued, RandomKey(key="cookie-secret", form=KeyForm.URL_SAFE_BASE64))

    def create(self, scope: Construct, secret: NewSecret) -> Login:
        """An oauth2-proxy in this phase, with a Secret of its own name."""
        return OAuth2Proxy(scope, self, secret(self.name, *self.secret_keys))


# Logfmt. Of its other lines it does not say how bad they are.
_LOG_FORMATS = {
    "OAUTH2_PROXY_STANDARD_LOGGING_FORMAT": 'time="{{.Timestamp}}" file={{.File}} msg={{printf "%q" .Message}}',
    "OAUTH2_PROXY_AUTH_LOGGING_FORMAT": (
        'time="{{.Timestamp}}" level={{if eq .Status "AuthSuccess"}}info{{else}}warn{{end}} status={{.Status}} '
        'request_id={{printf "%q" .RequestID}} client={{.Client}} user={{printf "%q" .Username}} '
        'msg={{printf "%q" .Message}}'
    ),
}


class OAuth2Proxy(Workload):
    """oauth2-proxy: it signs people in with a provider, and tells the gateway who they are.

    It may reach the provider and nothing else. Its image has no ``sleep`` to wait with before it stops: it finishes
    what it has begun, and where one fails or hangs, the gateway tries another pod.

    Args:
        scope: A Phase.
        settings: Provider and host.
        secret: A Secret that holds ``settings.secret_keys``.
    """

    def __init__(self, scope: Construct, settings: OAuth2ProxySettings, secret: Secret) -> None:
        self.settings = settings
        told: dict[str, str] = {
            "OAUTH2_PROXY_HTTP_ADDRESS": "0.0.0.0:4180",
            "OAUTH2_PROXY_METRICS_ADDRESS": "0.0.0.0:44180",
            "OAUTH2_PROXY_REVERSE_PROXY": "true",
            "OAUTH2_PROXY_UPSTREAMS": "static://202",
            "OAUTH2_PROXY_SET_XAUTHREQUEST": "true",
            "OAUTH2_PROXY_SKIP_PROVIDER_BUTTON": "true",
            "OAUTH2_PROXY_EMAIL_DOMAINS": ",".join(settings.email_domains),
            "OAUTH2_PROXY_REDIRECT_URL": f"https://{settings.host}{LOGIN_PATH}callback",
            "OAUTH2_PROXY_WHITELIST_DOMAINS": settings.host,
            "OAUTH2_PROXY_COOKIE_NAME": LOGIN_COOKIE,
            "OAUTH2_PROXY_COOKIE_SECURE": "true",
            "OAUTH2_PROXY_COOKIE_HTTPONLY": "true",
            "OAUTH2_PROXY_COOKIE_SAMESITE": "lax",
            "OAUTH2_PROXY_COOKIE_EXPIRE": f"{settings.session_hours}h",
            # Each try has a cookie of its own, so that two windows do not undo each other. Beside the try that is begun
            # so many stay, and the oldest go: all cookies together must fit one line.
            "OAUTH2_PROXY_COOKIE_CSRF_PER_REQUEST": "true",
            "OAUTH2_PROXY_COOKIE_CSRF_PER_REQUEST_LIMIT": str(TRIES - 1),
            "OAUTH2_PROXY_SESSION_STORE_TYPE": "cookie",
            "OAUTH2_PROXY_SESSION_COOKIE_MINIMAL": "true",
            # Its request log holds the provider's codes; the gateway logs every request without them.
            "OAUTH2_PROXY_REQUEST_LOGGING": "false",
            **_LOG_FORMATS,
            **settings.provider.variables(),
        }
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                component="login",
                metrics=(MetricsEndpoint(),),
                availability=settings.availability,
                extras=settings.extras,
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=USER,
                    compute=settings.compute,
                    ports=(Port(number=4180), Port(name="metrics", number=44180)),
                    variables=(
                        *variables(
                            {
                                "OAUTH2_PROXY_CLIENT_ID": secret.key("client-id"),
                                "OAUTH2_PROXY_CLIENT_SECRET": secret.key("client-secret"),
                                "OAUTH2_PROXY_COOKIE_SECRET": secret.key("cookie-secret"),
                            }
                        ),
                        *(Variable(name=name, value=value) for name, value in told.items()),
                    ),
                    probes=Probes.of(HttpGet(path="/ready"), liveness=HttpGet(path="/ping")),
                    volumes=(Scratch(size="16Mi"),),
                ),
            ),
        )
        self.connects_to(
            External(
                name=f"{settings.provider.name} login",
                hosts=(*settings.provider.hosts, settings.host),
                port=settings.provider.port,
                peer=settings.provider.peer,
            )
        )

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Whether people get in, where its metrics are read."""
        if not self.metrics:
            return ()
        return (
            Alert(
                name="LoginFailing",
                # Errors, and not their share: for each sign-in the gateway asks a hundred times who somebody is.
                expression=f'sum(increase(oauth2_proxy_requests_total{{job="{self.name}", code=~"5.."}}[10m])) > 5',
                for_minutes=5,
                severity=Severity.PAGE,
                summary="People cannot sign in",
                description="The login has failed {{ $value | printf `%.0f` }} times within ten minutes.",
            ),
        )

    @property
    def provider(self) -> str:
        """Whom it asks."""
        return self.settings.provider.name

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """What the gateway must reach."""
        return (self,)

    @property
    def administrators(self) -> tuple[str, ...]:
        """Who administrates because of the login: nobody."""
        return ()

    @property
    def vouching(self) -> Question:
        """Where the gateway asks, and where the answer lies."""
        return Question(
            to=self,
            path=f"{LOGIN_PATH}auth",
            email="X-Auth-Request-Email",
            subject="X-Auth-Request-User",
            name="X-Auth-Request-Preferred-Username",
            remembered_seconds=self.settings.remembered_seconds,
        )

    @property
    def pages(self) -> LoginPages:
        """What browsers need. Elsewhere it tells who someone is, in several spellings: only the gateway may ask."""
        return LoginPages(
            to=self,
            paths=tuple(f"{LOGIN_PATH}{path}" for path in ("start", "callback", "sign_in", "sign_out", "static/")),
            start=f"{LOGIN_PATH}start",
            callback=f"{LOGIN_PATH}callback",
            content_security_policy="default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:",
        )

    def check(self, *, host: str, https: bool) -> None:
        """Refuse a gateway where its cookie or the way back from the provider would not work."""
        if not https:
            raise SettingError("GatewaySettings.https", False, "The login's cookie needs HTTPS. Give True.")
        if self.settings.host != host:
            raise SettingError("OAuth2ProxySettings.host", self.settings.host, f"Give the gateway's, {host}.")
