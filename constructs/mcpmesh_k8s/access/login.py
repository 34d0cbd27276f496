"""This module is login: who vouches for a person, and oauth2-proxy, which asks them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from constructs import Construct

from mcpmesh_k8s.kubernetes import (
    Availability,
    Compute,
    Container,
    External,
    HttpGet,
    Image,
    Internet,
    IssuedKey,
    KeyForm,
    Peer,
    Port,
    Probes,
    RandomKey,
    Scratch,
    Secret,
    SettingError,
    User,
    Variable,
    Workload,
    WorkloadSettings,
    variables,
)

from .routes import RateLimit

USER = User(uid=65532, gid=65532)
"""The user ``nonroot`` of the distroless image."""

EMAIL = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
COOKIE = "__Host-login"
"""The prefix ``__Host-`` makes browsers refuse the cookie without TLS, for another path, or from a subdomain."""

OWN_MACHINE = (".local", ".localhost", ".test")
"""How hosts end that only a machine of one's own resolves."""

_TRIES = 3
"""How often another pod of the login is tried when one fails or hangs: one that stops gets requests for a moment."""
_SIGN_IN = RateLimit(per_second=5, burst=20)
_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+|\*")


@dataclass(frozen=True, kw_only=True)
class DevIdentity:
    """Everyone is this person: for a cluster on one's own machine, where no provider is asked.

    Args:
        email: The person's address. They are an administrator.
        name: The person's name.
    """

    email: str
    name: str = "Developer"

    def __post_init__(self) -> None:
        """Refuse what is no address."""
        if not EMAIL.fullmatch(self.email):
            raise SettingError("DevIdentity.email", self.email, "Give an address, such as 'dev@example.com'.")
        if not re.fullmatch(r"[\w .'-]+", self.name):
            raise SettingError("DevIdentity.name", self.name, "Give letters, digits, spaces and '.-'.")

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """Nobody is asked."""
        return ()

    @property
    def administrators(self) -> tuple[str, ...]:
        """Who administrates because of the login."""
        return (self.email,)

    def vouching(self, suffix: str) -> str:
        """What ``gateway.lua`` is told: who everyone is."""
        return (
            f'provider = "dev", person = {{ email = "{self.email}", subject = "{self.email}", name = "{self.name}" }}'
        )

    def server(self, suffix: str) -> str:
        """No pages of its own."""
        return ""

    @property
    def zones(self) -> str:
        """No limits of its own."""
        return ""

    def check(self, *, host: str, https: bool) -> None:
        """Refuse a gateway that others than oneself can reach."""
        if https or not host.endswith(OWN_MACHINE):
            raise SettingError(
                "Gateway login",
                self,
                f"It lets everyone in at {host}. Give an OAuth2Proxy, or plain HTTP on a host that ends with "
                f"{', '.join(OWN_MACHINE)}.",
            )


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
        peer: Where it is; anywhere on the internet unless given.
    """

    issuer: str
    peer: Peer = Internet()
    name = "oidc"

    def __post_init__(self) -> None:
        """Refuse an issuer that anyone on the way could play."""
        if not re.fullmatch(r"https://[a-z0-9.-]+(:\d+)?(/[\w./~-]*)?", self.issuer):
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
            # It skips this unless told. A token that was made for another login is then refused.
            "OAUTH2_PROXY_INSECURE_OIDC_SKIP_NONCE": "false",
            "OAUTH2_PROXY_CODE_CHALLENGE_METHOD": "S256",
        }


Provider = Google | GitHub | OpenIdConnect
"""Whom oauth2-proxy asks."""


@dataclass(frozen=True, kw_only=True)
class OAuth2ProxySettings:
    """A login by oauth2-proxy.

    Args:
        image: The image.
        compute: CPU and memory.
        host: The host people type: where the provider sends them back to.
        provider: Who vouches.
        email_domains: Whose addresses may sign in; ``("*",)`` is anyone the provider vouches for.
        session_hours: Hours until one has to sign in again. Sessions lie in an encrypted cookie, so that any number
            of pods works, and none is lost with one.
        availability: How many pods, how many stay up, where, and how important they are.
        name: The short name.
    """

    image: Image
    compute: Compute
    host: str
    provider: Provider
    email_domains: tuple[str, ...]
    session_hours: int = 12
    availability: Availability = Availability()
    name: str = "oauth2-proxy"

    def __post_init__(self) -> None:
        """Refuse domains that are none."""
        for domain in self.email_domains or ("",):
            if not _DOMAIN.fullmatch(domain):
                raise SettingError(
                    "OAuth2ProxySettings.email_domains", domain, "Give 'example.com', or '*' for anyone."
                )
        if self.session_hours < 1:
            raise SettingError("OAuth2ProxySettings.session_hours", self.session_hours, "Give 1 or more.")

    @property
    def secret_keys(self) -> tuple[IssuedKey | RandomKey, ...]:
        """The keys its Secret must hold: the provider's credentials, and 32 random bytes for the cookie.

        These are written in URL-safe base64: oauth2-proxy does not read ``+`` and ``/``, and refuses to start.
        """
        issued = (IssuedKey(key=key, issued_by=self.provider.console) for key in ("client-id", "client-secret"))
        return (*issued, RandomKey(key="cookie-secret", form=KeyForm.URL_SAFE_BASE64))


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
            "OAUTH2_PROXY_REVERSE_PROXY": "true",
            "OAUTH2_PROXY_UPSTREAMS": "static://202",
            "OAUTH2_PROXY_SET_XAUTHREQUEST": "true",
            "OAUTH2_PROXY_SKIP_PROVIDER_BUTTON": "true",
            "OAUTH2_PROXY_EMAIL_DOMAINS": ",".join(settings.email_domains),
            "OAUTH2_PROXY_REDIRECT_URL": f"https://{settings.host}/oauth2/callback",
            "OAUTH2_PROXY_WHITELIST_DOMAINS": settings.host,
            "OAUTH2_PROXY_COOKIE_NAME": COOKIE,
            "OAUTH2_PROXY_COOKIE_SECURE": "true",
            "OAUTH2_PROXY_COOKIE_HTTPONLY": "true",
            "OAUTH2_PROXY_COOKIE_SAMESITE": "lax",
            "OAUTH2_PROXY_COOKIE_EXPIRE": f"{settings.session_hours}h",
            "OAUTH2_PROXY_SESSION_STORE_TYPE": "cookie",
            "OAUTH2_PROXY_SESSION_COOKIE_MINIMAL": "true",
            # Its request log holds the provider's codes; the gateway logs every request without them.
            "OAUTH2_PROXY_REQUEST_LOGGING": "false",
            **settings.provider.variables(),
        }
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                component="login",
                availability=settings.availability,
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=USER,
                    compute=settings.compute,
                    ports=(Port(number=4180),),
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
    def workloads(self) -> tuple[Workload, ...]:
        """What the gateway must reach."""
        return (self,)

    @property
    def administrators(self) -> tuple[str, ...]:
        """Who administrates because of the login: nobody."""
        return ()

    def vouching(self, suffix: str) -> str:
        """What ``gateway.lua`` is told, given the DNS suffix of Services: where to ask."""
        endpoint = self.endpoint()
        address = f'"{endpoint.host}.{suffix}", {endpoint.port}'
        return f'provider = "{self.settings.provider.name}", login = {{ {address}, {_TRIES} }}'

    def server(self, suffix: str) -> str:
        """Its part of the server in ``nginx.conf``: its own pages, and where people are sent to sign in."""
        endpoint = self.endpoint()
        host = f"{endpoint.host}.{suffix}"
        pages = "".join(
            _PAGE.format(location=location, host=host, port=endpoint.port, burst=_SIGN_IN.burst, tries=_TRIES)
            for location in _SERVED
        )
        return _SERVER.format(pages=pages)

    @property
    def zones(self) -> str:
        """What counts the requests for its pages."""
        return _SIGN_IN.zone("login")

    def check(self, *, host: str, https: bool) -> None:
        """Refuse a gateway where its cookie or the way back from the provider would not work."""
        if not https:
            raise SettingError("GatewaySettings.https", False, "The login's cookie needs HTTPS. Give True.")
        if self.settings.host != host:
            raise SettingError("OAuth2ProxySettings.host", self.settings.host, f"Give the gateway's, {host}.")


_SERVED = (*(f"= /oauth2/{page}" for page in ("start", "callback", "sign_in", "sign_out")), "/oauth2/static/")
"""What browsers need. Elsewhere it tells who someone is, in several spellings: that is for the gateway to ask."""

_SERVER = """
        error_page 401 = @sign_in;
        location /oauth2/ {{
            return 404;
        }}{pages}
        location @sign_in {{
            content_by_lua_block {{ gateway.sign_in() }}
        }}
"""

_PAGE = """
        location {location} {{
            set $service login;
            set $identity '';
            set $problem '';
            set $upstream_authorization '';
            set $upstream_cookie $http_cookie;
            set $passed_upgrade '';
            set $passed_connection '';
            set $content_security_policy "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:";
            rewrite_by_lua_block {{ gateway.pass("{host}", {port}, false, {tries}) }}
            proxy_next_upstream error;
            limit_req zone=login burst={burst} nodelay;
            limit_req_status 429;
            proxy_pass http://service;
            include /etc/gateway/proxy.conf;
            proxy_read_timeout 30s;
        }}"""

Login = DevIdentity | OAuth2Proxy
"""Who vouches for people."""
