"""This module is the way in: routes, the login that vouches for people, the gateway made of both, and its exposure."""

from mcpmesh_k8s.kubernetes import refuse_wrong_types

from .dev_identity import DevIdentity
from .exposure import (
    Dns01,
    Exposure,
    GatewayApiExposure,
    Http01,
    IngressExposure,
    IngressNginx,
    NoTls,
    OtherController,
    Tls,
    Traefik,
)
from .gateway import Gateway, GatewaySettings, Objective
from .login import Login, LoginPages, LoginSettings, NewSecret, Person, Question
from .no_login import NoLogin
from .oauth2_proxy import GitHub, Google, OAuth2Proxy, OAuth2ProxySettings, OpenIdConnect
from .routes import Audience, ContentSecurityPolicy, Limits, RateLimit, Route

__all__ = [
    "Audience",
    "ContentSecurityPolicy",
    "DevIdentity",
    "Dns01",
    "Exposure",
    "Gateway",
    "GatewayApiExposure",
    "GatewaySettings",
    "GitHub",
    "Google",
    "Http01",
    "IngressExposure",
    "IngressNginx",
    "Limits",
    "Login",
    "LoginPages",
    "LoginSettings",
    "NewSecret",
    "NoLogin",
    "NoTls",
    "OAuth2Proxy",
    "OAuth2ProxySettings",
    "Objective",
    "OpenIdConnect",
    "OtherController",
    "Person",
    "Question",
    "RateLimit",
    "Route",
    "Tls",
    "Traefik",
]

refuse_wrong_types(globals(), __all__)
