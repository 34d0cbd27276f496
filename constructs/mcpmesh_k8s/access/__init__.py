"""This module is the way in: routes, the login that vouches for people, the gateway made of both, and its exposure."""

from mcpmesh_k8s.kubernetes import refuse_wrong_types

from .exposure import Exposure, GatewayApiExposure, IngressExposure, IngressNginx, NoTls, Tls, Traefik
from .gateway import Gateway, GatewaySettings
from .login import DevIdentity, GitHub, Google, Login, OAuth2Proxy, OAuth2ProxySettings, OpenIdConnect
from .routes import Audience, RateLimit, Route

__all__ = [
    "Audience",
    "DevIdentity",
    "Exposure",
    "Gateway",
    "GatewayApiExposure",
    "GatewaySettings",
    "GitHub",
    "Google",
    "IngressExposure",
    "IngressNginx",
    "Login",
    "NoTls",
    "OAuth2Proxy",
    "OAuth2ProxySettings",
    "OpenIdConnect",
    "RateLimit",
    "Route",
    "Tls",
    "Traefik",
]

refuse_wrong_types(globals(), __all__)
