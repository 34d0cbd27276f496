from __future__ import annotations

from pkgutil import extend_path
__path__ = extend_path(__path__, __name__)

import abc
import builtins
import datetime
import enum
import typing

import jsii
import publication
import typing_extensions

from jsii._type_checking import cached_type_hints, check_type


from ._jsii import *

class _LazyImport:
    def __init__(self, module_name: str) -> None:
        self._module_name = module_name
        self._module: typing.Any = None
    def __getattr__(self, name: str) -> typing.Any:
        if self._module is None:
            import importlib
            self._module = importlib.import_module(self._module_name)
        return getattr(self._module, name)

if typing.TYPE_CHECKING:

    import cdk8s as _cdk8s_d3d9af27
    import constructs as _constructs_77d1e7e8
else:

    _cdk8s_d3d9af27 = _LazyImport("cdk8s")
    _constructs_77d1e7e8 = _LazyImport("constructs")


class CiliumNetworkPolicy(
    _cdk8s_d3d9af27.ApiObject,
    metaclass=jsii.JSIIMeta,
    jsii_type="iocilium.CiliumNetworkPolicy",
):
    '''What a NetworkPolicy says, and whom only Cilium can tell apart.

    :schema: CiliumNetworkPolicy
    '''

    def __init__(
        self,
        scope: "_constructs_77d1e7e8.Construct",
        id: builtins.str,
        *,
        metadata: typing.Union["_cdk8s_d3d9af27.ApiObjectMetadata", typing.Dict[builtins.str, typing.Any]],
        spec: typing.Union["CiliumNetworkPolicySpec", typing.Dict[builtins.str, typing.Any]],
    ) -> None:
        '''Defines a "CiliumNetworkPolicy" API object.

        :param scope: the scope in which to define this object.
        :param id: a scope-local name for the object.
        :param metadata: 
        :param spec: 
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__9504ff42fb79993fbb1975d4cb123a70227f856cff11e1220fe61cf0b06c1133)
            check_type(argname="argument scope", value=scope, expected_type=type_hints["scope"])
            check_type(argname="argument id", value=id, expected_type=type_hints["id"])
        props = CiliumNetworkPolicyProps(metadata=metadata, spec=spec)

        jsii.create(self.__class__, self, [scope, id, props])

    @jsii.member(jsii_name="manifest")
    @builtins.classmethod
    def manifest(
        cls,
        *,
        metadata: typing.Union["_cdk8s_d3d9af27.ApiObjectMetadata", typing.Dict[builtins.str, typing.Any]],
        spec: typing.Union["CiliumNetworkPolicySpec", typing.Dict[builtins.str, typing.Any]],
    ) -> typing.Any:
        '''Renders a Kubernetes manifest for "CiliumNetworkPolicy".

        This can be used to inline resource manifests inside other objects (e.g. as templates).

        :param metadata: 
        :param spec: 
        '''
        props = CiliumNetworkPolicyProps(metadata=metadata, spec=spec)

        return typing.cast(typing.Any, jsii.sinvoke(cls, "manifest", [props]))

    @jsii.member(jsii_name="toJson")
    def to_json(self) -> typing.Any:
        '''Renders the object to Kubernetes JSON.'''
        return typing.cast(typing.Any, jsii.invoke(self, "toJson", []))

    @jsii.python.classproperty
    @jsii.member(jsii_name="GVK")
    def GVK(cls) -> "_cdk8s_d3d9af27.GroupVersionKind":
        '''Returns the apiVersion and kind for "CiliumNetworkPolicy".'''
        return typing.cast("_cdk8s_d3d9af27.GroupVersionKind", jsii.sget(cls, "GVK"))


@jsii.data_type(
    jsii_type="iocilium.CiliumNetworkPolicyProps",
    jsii_struct_bases=[],
    name_mapping={"metadata": "metadata", "spec": "spec"},
)
class CiliumNetworkPolicyProps:
    def __init__(
        self,
        *,
        metadata: typing.Union["_cdk8s_d3d9af27.ApiObjectMetadata", typing.Dict[builtins.str, typing.Any]],
        spec: typing.Union["CiliumNetworkPolicySpec", typing.Dict[builtins.str, typing.Any]],
    ) -> None:
        '''What a NetworkPolicy says, and whom only Cilium can tell apart.

        :param metadata: 
        :param spec: 

        :schema: CiliumNetworkPolicy
        '''
        if isinstance(metadata, dict):
            metadata = _cdk8s_d3d9af27.ApiObjectMetadata(**metadata)
        if isinstance(spec, dict):
            spec = CiliumNetworkPolicySpec(**spec)
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__148024b62be5de93026c2128c839b02adadbaeec7529c29e70b752e6bc6f947f)
            check_type(argname="argument metadata", value=metadata, expected_type=type_hints["metadata"])
            check_type(argname="argument spec", value=spec, expected_type=type_hints["spec"])
        self._values: typing.Dict[builtins.str, typing.Any] = {
            "metadata": metadata,
            "spec": spec,
        }

    @builtins.property
    def metadata(self) -> "_cdk8s_d3d9af27.ApiObjectMetadata":
        '''
        :schema: CiliumNetworkPolicy#metadata
        '''
        result = self._values.get("metadata")
        assert result is not None, "Required property 'metadata' is missing"
        return typing.cast("_cdk8s_d3d9af27.ApiObjectMetadata", result)

    @builtins.property
    def spec(self) -> "CiliumNetworkPolicySpec":
        '''
        :schema: CiliumNetworkPolicy#spec
        '''
        result = self._values.get("spec")
        assert result is not None, "Required property 'spec' is missing"
        return typing.cast("CiliumNetworkPolicySpec", result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "CiliumNetworkPolicyProps(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="iocilium.CiliumNetworkPolicySpec",
    jsii_struct_bases=[],
    name_mapping={
        "endpoint_selector": "endpointSelector",
        "egress": "egress",
        "ingress": "ingress",
    },
)
class CiliumNetworkPolicySpec:
    def __init__(
        self,
        *,
        endpoint_selector: typing.Union["CiliumNetworkPolicySpecEndpointSelector", typing.Dict[builtins.str, typing.Any]],
        egress: typing.Optional[typing.Sequence[typing.Union["CiliumNetworkPolicySpecEgress", typing.Dict[builtins.str, typing.Any]]]] = None,
        ingress: typing.Optional[typing.Sequence[typing.Union["CiliumNetworkPolicySpecIngress", typing.Dict[builtins.str, typing.Any]]]] = None,
    ) -> None:
        '''
        :param endpoint_selector: The pods that it is about. All of the namespace when empty.
        :param egress: Who may be dialled. A rule names peers of one kind.
        :param ingress: Who may come in. A rule names peers of one kind.

        :schema: CiliumNetworkPolicySpec
        '''
        if isinstance(endpoint_selector, dict):
            endpoint_selector = CiliumNetworkPolicySpecEndpointSelector(**endpoint_selector)
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__05e1d10cbee2a7718097e81725de2db6637956f36df0431ffe30fff170fe46e3)
            check_type(argname="argument endpoint_selector", value=endpoint_selector, expected_type=type_hints["endpoint_selector"])
            check_type(argname="argument egress", value=egress, expected_type=type_hints["egress"])
            check_type(argname="argument ingress", value=ingress, expected_type=type_hints["ingress"])
        self._values: typing.Dict[builtins.str, typing.Any] = {
            "endpoint_selector": endpoint_selector,
        }
        if egress is not None:
            self._values["egress"] = egress
        if ingress is not None:
            self._values["ingress"] = ingress

    @builtins.property
    def endpoint_selector(self) -> "CiliumNetworkPolicySpecEndpointSelector":
        '''The pods that it is about.

        All of the namespace when empty.

        :schema: CiliumNetworkPolicySpec#endpointSelector
        '''
        result = self._values.get("endpoint_selector")
        assert result is not None, "Required property 'endpoint_selector' is missing"
        return typing.cast("CiliumNetworkPolicySpecEndpointSelector", result)

    @builtins.property
    def egress(self) -> typing.Optional[typing.List["CiliumNetworkPolicySpecEgress"]]:
        '''Who may be dialled.

        A rule names peers of one kind.

        :schema: CiliumNetworkPolicySpec#egress
        '''
        result = self._values.get("egress")
        return typing.cast(typing.Optional[typing.List["CiliumNetworkPolicySpecEgress"]], result)

    @builtins.property
    def ingress(self) -> typing.Optional[typing.List["CiliumNetworkPolicySpecIngress"]]:
        '''Who may come in.

        A rule names peers of one kind.

        :schema: CiliumNetworkPolicySpec#ingress
        '''
        result = self._values.get("ingress")
        return typing.cast(typing.Optional[typing.List["CiliumNetworkPolicySpecIngress"]], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "CiliumNetworkPolicySpec(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="iocilium.CiliumNetworkPolicySpecEgress",
    jsii_struct_bases=[],
    name_mapping={
        "to_cidr_set": "toCidrSet",
        "to_endpoints": "toEndpoints",
        "to_entities": "toEntities",
        "to_ports": "toPorts",
    },
)
class CiliumNetworkPolicySpecEgress:
    def __init__(
        self,
        *,
        to_cidr_set: typing.Optional[typing.Sequence[typing.Union["CiliumNetworkPolicySpecEgressToCidrSet", typing.Dict[builtins.str, typing.Any]]]] = None,
        to_endpoints: typing.Optional[typing.Sequence[typing.Union["CiliumNetworkPolicySpecEgressToEndpoints", typing.Dict[builtins.str, typing.Any]]]] = None,
        to_entities: typing.Optional[typing.Sequence["CiliumNetworkPolicySpecEgressToEntities"]] = None,
        to_ports: typing.Optional[typing.Sequence[typing.Union["CiliumNetworkPolicySpecEgressToPorts", typing.Dict[builtins.str, typing.Any]]]] = None,
    ) -> None:
        '''
        :param to_cidr_set: Addresses that are neither pods nor nodes.
        :param to_endpoints: Pods.
        :param to_entities: Whom Cilium knows by a name.
        :param to_ports: 

        :schema: CiliumNetworkPolicySpecEgress
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__eb0baf929d1b8d17160f739abd0de94230f200d7e6f5a81948b89bedc940ac07)
            check_type(argname="argument to_cidr_set", value=to_cidr_set, expected_type=type_hints["to_cidr_set"])
            check_type(argname="argument to_endpoints", value=to_endpoints, expected_type=type_hints["to_endpoints"])
            check_type(argname="argument to_entities", value=to_entities, expected_type=type_hints["to_entities"])
            check_type(argname="argument to_ports", value=to_ports, expected_type=type_hints["to_ports"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if to_cidr_set is not None:
            self._values["to_cidr_set"] = to_cidr_set
        if to_endpoints is not None:
            self._values["to_endpoints"] = to_endpoints
        if to_entities is not None:
            self._values["to_entities"] = to_entities
        if to_ports is not None:
            self._values["to_ports"] = to_ports

    @builtins.property
    def to_cidr_set(
        self,
    ) -> typing.Optional[typing.List["CiliumNetworkPolicySpecEgressToCidrSet"]]:
        '''Addresses that are neither pods nor nodes.

        :schema: CiliumNetworkPolicySpecEgress#toCIDRSet
        '''
        result = self._values.get("to_cidr_set")
        return typing.cast(typing.Optional[typing.List["CiliumNetworkPolicySpecEgressToCidrSet"]], result)

    @builtins.property
    def to_endpoints(
        self,
    ) -> typing.Optional[typing.List["CiliumNetworkPolicySpecEgressToEndpoints"]]:
        '''Pods.

        :schema: CiliumNetworkPolicySpecEgress#toEndpoints
        '''
        result = self._values.get("to_endpoints")
        return typing.cast(typing.Optional[typing.List["CiliumNetworkPolicySpecEgressToEndpoints"]], result)

    @builtins.property
    def to_entities(
        self,
    ) -> typing.Optional[typing.List["CiliumNetworkPolicySpecEgressToEntities"]]:
        '''Whom Cilium knows by a name.

        :schema: CiliumNetworkPolicySpecEgress#toEntities
        '''
        result = self._values.get("to_entities")
        return typing.cast(typing.Optional[typing.List["CiliumNetworkPolicySpecEgressToEntities"]], result)

    @builtins.property
    def to_ports(
        self,
    ) -> typing.Optional[typing.List["CiliumNetworkPolicySpecEgressToPorts"]]:
        '''
        :schema: CiliumNetworkPolicySpecEgress#toPorts
        '''
        result = self._values.get("to_ports")
        return typing.cast(typing.Optional[typing.List["CiliumNetworkPolicySpecEgressToPorts"]], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "CiliumNetworkPolicySpecEgress(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="iocilium.CiliumNetworkPolicySpecEgressToCidrSet",
    jsii_struct_bases=[],
    name_mapping={"cidr": "cidr", "except_": "except"},
)
class CiliumNetworkPolicySpecEgressToCidrSet:
    def __init__(
        self,
        *,
        cidr: builtins.str,
        except_: typing.Optional[typing.Sequence[builtins.str]] = None,
    ) -> None:
        '''
        :param cidr: 
        :param except_: Ranges inside it that are left out.

        :schema: CiliumNetworkPolicySpecEgressToCidrSet
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__6080033ec0672b2eb90e62b98cfaaa3d84bcb6ee6f7eb729f18582d49a585712)
            check_type(argname="argument cidr", value=cidr, expected_type=type_hints["cidr"])
            check_type(argname="argument except_", value=except_, expected_type=type_hints["except_"])
        self._values: typing.Dict[builtins.str, typing.Any] = {
            "cidr": cidr,
        }
        if except_ is not None:
            self._values["except_"] = except_

    @builtins.property
    def cidr(self) -> builtins.str:
        '''
        :schema: CiliumNetworkPolicySpecEgressToCidrSet#cidr
        '''
        result = self._values.get("cidr")
        assert result is not None, "Required property 'cidr' is missing"
        return typing.cast(builtins.str, result)

    @builtins.property
    def except_(self) -> typing.Optional[typing.List[builtins.str]]:
        '''Ranges inside it that are left out.

        :schema: CiliumNetworkPolicySpecEgressToCidrSet#except
        '''
        result = self._values.get("except_")
        return typing.cast(typing.Optional[typing.List[builtins.str]], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "CiliumNetworkPolicySpecEgressToCidrSet(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="iocilium.CiliumNetworkPolicySpecEgressToEndpoints",
    jsii_struct_bases=[],
    name_mapping={"match_labels": "matchLabels"},
)
class CiliumNetworkPolicySpecEgressToEndpoints:
    def __init__(
        self,
        *,
        match_labels: typing.Optional[typing.Mapping[builtins.str, builtins.str]] = None,
    ) -> None:
        '''
        :param match_labels: 

        :schema: CiliumNetworkPolicySpecEgressToEndpoints
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__e4b474724c3145456b1dfe537ff10eec431d32b71d832eb5c17e2992bfaf382a)
            check_type(argname="argument match_labels", value=match_labels, expected_type=type_hints["match_labels"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if match_labels is not None:
            self._values["match_labels"] = match_labels

    @builtins.property
    def match_labels(
        self,
    ) -> typing.Optional[typing.Mapping[builtins.str, builtins.str]]:
        '''
        :schema: CiliumNetworkPolicySpecEgressToEndpoints#matchLabels
        '''
        result = self._values.get("match_labels")
        return typing.cast(typing.Optional[typing.Mapping[builtins.str, builtins.str]], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "CiliumNetworkPolicySpecEgressToEndpoints(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.enum(jsii_type="iocilium.CiliumNetworkPolicySpecEgressToEntities")
class CiliumNetworkPolicySpecEgressToEntities(enum.Enum):
    '''
    :schema: CiliumNetworkPolicySpecEgressToEntities
    '''

    ALL = "ALL"
    '''all.'''
    CLUSTER = "CLUSTER"
    '''cluster.'''
    HEALTH = "HEALTH"
    '''health.'''
    HOST = "HOST"
    '''host.'''
    INGRESS = "INGRESS"
    '''ingress.'''
    INIT = "INIT"
    '''init.'''
    KUBE_HYPHEN_APISERVER = "KUBE_HYPHEN_APISERVER"
    '''kube-apiserver.'''
    NONE = "NONE"
    '''none.'''
    REMOTE_HYPHEN_NODE = "REMOTE_HYPHEN_NODE"
    '''remote-node.'''
    UNMANAGED = "UNMANAGED"
    '''unmanaged.'''
    WORLD = "WORLD"
    '''world.'''


@jsii.data_type(
    jsii_type="iocilium.CiliumNetworkPolicySpecEgressToPorts",
    jsii_struct_bases=[],
    name_mapping={"ports": "ports", "rules": "rules"},
)
class CiliumNetworkPolicySpecEgressToPorts:
    def __init__(
        self,
        *,
        ports: typing.Sequence[typing.Union["CiliumNetworkPolicySpecEgressToPortsPorts", typing.Dict[builtins.str, typing.Any]]],
        rules: typing.Optional[typing.Union["CiliumNetworkPolicySpecEgressToPortsRules", typing.Dict[builtins.str, typing.Any]]] = None,
    ) -> None:
        '''
        :param ports: Ports of the pod, after a Service has translated its own.
        :param rules: What is let through of a protocol that Cilium reads.

        :schema: CiliumNetworkPolicySpecEgressToPorts
        '''
        if isinstance(rules, dict):
            rules = CiliumNetworkPolicySpecEgressToPortsRules(**rules)
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__4f663bae5d926994a796e3d27392e2b9939b5971e3ee626a9e54ba136db712ca)
            check_type(argname="argument ports", value=ports, expected_type=type_hints["ports"])
            check_type(argname="argument rules", value=rules, expected_type=type_hints["rules"])
        self._values: typing.Dict[builtins.str, typing.Any] = {
            "ports": ports,
        }
        if rules is not None:
            self._values["rules"] = rules

    @builtins.property
    def ports(self) -> typing.List["CiliumNetworkPolicySpecEgressToPortsPorts"]:
        '''Ports of the pod, after a Service has translated its own.

        :schema: CiliumNetworkPolicySpecEgressToPorts#ports
        '''
        result = self._values.get("ports")
        assert result is not None, "Required property 'ports' is missing"
        return typing.cast(typing.List["CiliumNetworkPolicySpecEgressToPortsPorts"], result)

    @builtins.property
    def rules(self) -> typing.Optional["CiliumNetworkPolicySpecEgressToPortsRules"]:
        '''What is let through of a protocol that Cilium reads.

        :schema: CiliumNetworkPolicySpecEgressToPorts#rules
        '''
        result = self._values.get("rules")
        return typing.cast(typing.Optional["CiliumNetworkPolicySpecEgressToPortsRules"], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "CiliumNetworkPolicySpecEgressToPorts(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="iocilium.CiliumNetworkPolicySpecEgressToPortsPorts",
    jsii_struct_bases=[],
    name_mapping={"port": "port", "protocol": "protocol"},
)
class CiliumNetworkPolicySpecEgressToPortsPorts:
    def __init__(
        self,
        *,
        port: builtins.str,
        protocol: "CiliumNetworkPolicySpecEgressToPortsPortsProtocol",
    ) -> None:
        '''
        :param port: 
        :param protocol: 

        :schema: CiliumNetworkPolicySpecEgressToPortsPorts
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__cbeb9af27e0d6a120e4a5d84a12ec6a714eaac6a2bded3f656234ddf4c6c8ccd)
            check_type(argname="argument port", value=port, expected_type=type_hints["port"])
            check_type(argname="argument protocol", value=protocol, expected_type=type_hints["protocol"])
        self._values: typing.Dict[builtins.str, typing.Any] = {
            "port": port,
            "protocol": protocol,
        }

    @builtins.property
    def port(self) -> builtins.str:
        '''
        :schema: CiliumNetworkPolicySpecEgressToPortsPorts#port
        '''
        result = self._values.get("port")
        assert result is not None, "Required property 'port' is missing"
        return typing.cast(builtins.str, result)

    @builtins.property
    def protocol(self) -> "CiliumNetworkPolicySpecEgressToPortsPortsProtocol":
        '''
        :schema: CiliumNetworkPolicySpecEgressToPortsPorts#protocol
        '''
        result = self._values.get("protocol")
        assert result is not None, "Required property 'protocol' is missing"
        return typing.cast("CiliumNetworkPolicySpecEgressToPortsPortsProtocol", result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "CiliumNetworkPolicySpecEgressToPortsPorts(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.enum(jsii_type="iocilium.CiliumNetworkPolicySpecEgressToPortsPortsProtocol")
class CiliumNetworkPolicySpecEgressToPortsPortsProtocol(enum.Enum):
    '''
    :schema: CiliumNetworkPolicySpecEgressToPortsPortsProtocol
    '''

    ANY = "ANY"
    '''ANY.'''
    ICMP = "ICMP"
    '''ICMP.'''
    ICM_PV6 = "ICM_PV6"
    '''ICMPv6.'''
    SCTP = "SCTP"
    '''SCTP.'''
    TCP = "TCP"
    '''TCP.'''
    UDP = "UDP"
    '''UDP.'''


@jsii.data_type(
    jsii_type="iocilium.CiliumNetworkPolicySpecEgressToPortsRules",
    jsii_struct_bases=[],
    name_mapping={"dns": "dns"},
)
class CiliumNetworkPolicySpecEgressToPortsRules:
    def __init__(
        self,
        *,
        dns: typing.Sequence[typing.Union["CiliumNetworkPolicySpecEgressToPortsRulesDns", typing.Dict[builtins.str, typing.Any]]],
    ) -> None:
        '''What is let through of a protocol that Cilium reads.

        :param dns: Questions that may be asked.

        :schema: CiliumNetworkPolicySpecEgressToPortsRules
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__d94daa2a0e50d0c44a73c2c62131f75c9711f665dcec9463da0e2b05db96d68e)
            check_type(argname="argument dns", value=dns, expected_type=type_hints["dns"])
        self._values: typing.Dict[builtins.str, typing.Any] = {
            "dns": dns,
        }

    @builtins.property
    def dns(self) -> typing.List["CiliumNetworkPolicySpecEgressToPortsRulesDns"]:
        '''Questions that may be asked.

        :schema: CiliumNetworkPolicySpecEgressToPortsRules#dns
        '''
        result = self._values.get("dns")
        assert result is not None, "Required property 'dns' is missing"
        return typing.cast(typing.List["CiliumNetworkPolicySpecEgressToPortsRulesDns"], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "CiliumNetworkPolicySpecEgressToPortsRules(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="iocilium.CiliumNetworkPolicySpecEgressToPortsRulesDns",
    jsii_struct_bases=[],
    name_mapping={"match_pattern": "matchPattern"},
)
class CiliumNetworkPolicySpecEgressToPortsRulesDns:
    def __init__(self, *, match_pattern: builtins.str) -> None:
        '''
        :param match_pattern: 

        :schema: CiliumNetworkPolicySpecEgressToPortsRulesDns
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__f48ff16b0f4aaedbd5aac70d75ada42d5bf38f35d106848683772115f4658688)
            check_type(argname="argument match_pattern", value=match_pattern, expected_type=type_hints["match_pattern"])
        self._values: typing.Dict[builtins.str, typing.Any] = {
            "match_pattern": match_pattern,
        }

    @builtins.property
    def match_pattern(self) -> builtins.str:
        '''
        :schema: CiliumNetworkPolicySpecEgressToPortsRulesDns#matchPattern
        '''
        result = self._values.get("match_pattern")
        assert result is not None, "Required property 'match_pattern' is missing"
        return typing.cast(builtins.str, result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "CiliumNetworkPolicySpecEgressToPortsRulesDns(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="iocilium.CiliumNetworkPolicySpecEndpointSelector",
    jsii_struct_bases=[],
    name_mapping={"match_labels": "matchLabels"},
)
class CiliumNetworkPolicySpecEndpointSelector:
    def __init__(
        self,
        *,
        match_labels: typing.Optional[typing.Mapping[builtins.str, builtins.str]] = None,
    ) -> None:
        '''The pods that it is about.

        All of the namespace when empty.

        :param match_labels: 

        :schema: CiliumNetworkPolicySpecEndpointSelector
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__2b5546c4c79cbe11d2b7c1b64af4d881bacb7d5b914b88e9ae85f6ca1571a9d3)
            check_type(argname="argument match_labels", value=match_labels, expected_type=type_hints["match_labels"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if match_labels is not None:
            self._values["match_labels"] = match_labels

    @builtins.property
    def match_labels(
        self,
    ) -> typing.Optional[typing.Mapping[builtins.str, builtins.str]]:
        '''
        :schema: CiliumNetworkPolicySpecEndpointSelector#matchLabels
        '''
        result = self._values.get("match_labels")
        return typing.cast(typing.Optional[typing.Mapping[builtins.str, builtins.str]], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "CiliumNetworkPolicySpecEndpointSelector(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="iocilium.CiliumNetworkPolicySpecIngress",
    jsii_struct_bases=[],
    name_mapping={
        "from_cidr_set": "fromCidrSet",
        "from_endpoints": "fromEndpoints",
        "from_entities": "fromEntities",
        "to_ports": "toPorts",
    },
)
class CiliumNetworkPolicySpecIngress:
    def __init__(
        self,
        *,
        from_cidr_set: typing.Optional[typing.Sequence[typing.Union["CiliumNetworkPolicySpecIngressFromCidrSet", typing.Dict[builtins.str, typing.Any]]]] = None,
        from_endpoints: typing.Optional[typing.Sequence[typing.Union["CiliumNetworkPolicySpecIngressFromEndpoints", typing.Dict[builtins.str, typing.Any]]]] = None,
        from_entities: typing.Optional[typing.Sequence["CiliumNetworkPolicySpecIngressFromEntities"]] = None,
        to_ports: typing.Optional[typing.Sequence[typing.Union["CiliumNetworkPolicySpecIngressToPorts", typing.Dict[builtins.str, typing.Any]]]] = None,
    ) -> None:
        '''
        :param from_cidr_set: Addresses that are neither pods nor nodes.
        :param from_endpoints: Pods.
        :param from_entities: Whom Cilium knows by a name.
        :param to_ports: 

        :schema: CiliumNetworkPolicySpecIngress
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__bc83f360475cc4f190c75b30fad3398399db00b12a7635009d4095012ab4c130)
            check_type(argname="argument from_cidr_set", value=from_cidr_set, expected_type=type_hints["from_cidr_set"])
            check_type(argname="argument from_endpoints", value=from_endpoints, expected_type=type_hints["from_endpoints"])
            check_type(argname="argument from_entities", value=from_entities, expected_type=type_hints["from_entities"])
            check_type(argname="argument to_ports", value=to_ports, expected_type=type_hints["to_ports"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if from_cidr_set is not None:
            self._values["from_cidr_set"] = from_cidr_set
        if from_endpoints is not None:
            self._values["from_endpoints"] = from_endpoints
        if from_entities is not None:
            self._values["from_entities"] = from_entities
        if to_ports is not None:
            self._values["to_ports"] = to_ports

    @builtins.property
    def from_cidr_set(
        self,
    ) -> typing.Optional[typing.List["CiliumNetworkPolicySpecIngressFromCidrSet"]]:
        '''Addresses that are neither pods nor nodes.

        :schema: CiliumNetworkPolicySpecIngress#fromCIDRSet
        '''
        result = self._values.get("from_cidr_set")
        return typing.cast(typing.Optional[typing.List["CiliumNetworkPolicySpecIngressFromCidrSet"]], result)

    @builtins.property
    def from_endpoints(
        self,
    ) -> typing.Optional[typing.List["CiliumNetworkPolicySpecIngressFromEndpoints"]]:
        '''Pods.

        :schema: CiliumNetworkPolicySpecIngress#fromEndpoints
        '''
        result = self._values.get("from_endpoints")
        return typing.cast(typing.Optional[typing.List["CiliumNetworkPolicySpecIngressFromEndpoints"]], result)

    @builtins.property
    def from_entities(
        self,
    ) -> typing.Optional[typing.List["CiliumNetworkPolicySpecIngressFromEntities"]]:
        '''Whom Cilium knows by a name.

        :schema: CiliumNetworkPolicySpecIngress#fromEntities
        '''
        result = self._values.get("from_entities")
        return typing.cast(typing.Optional[typing.List["CiliumNetworkPolicySpecIngressFromEntities"]], result)

    @builtins.property
    def to_ports(
        self,
    ) -> typing.Optional[typing.List["CiliumNetworkPolicySpecIngressToPorts"]]:
        '''
        :schema: CiliumNetworkPolicySpecIngress#toPorts
        '''
        result = self._values.get("to_ports")
        return typing.cast(typing.Optional[typing.List["CiliumNetworkPolicySpecIngressToPorts"]], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "CiliumNetworkPolicySpecIngress(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="iocilium.CiliumNetworkPolicySpecIngressFromCidrSet",
    jsii_struct_bases=[],
    name_mapping={"cidr": "cidr", "except_": "except"},
)
class CiliumNetworkPolicySpecIngressFromCidrSet:
    def __init__(
        self,
        *,
        cidr: builtins.str,
        except_: typing.Optional[typing.Sequence[builtins.str]] = None,
    ) -> None:
        '''
        :param cidr: 
        :param except_: Ranges inside it that are left out.

        :schema: CiliumNetworkPolicySpecIngressFromCidrSet
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__ced38d0cd5722e5a4e9514c47f75dcf2d12bfa2556fa969a4fe93525c1beb150)
            check_type(argname="argument cidr", value=cidr, expected_type=type_hints["cidr"])
            check_type(argname="argument except_", value=except_, expected_type=type_hints["except_"])
        self._values: typing.Dict[builtins.str, typing.Any] = {
            "cidr": cidr,
        }
        if except_ is not None:
            self._values["except_"] = except_

    @builtins.property
    def cidr(self) -> builtins.str:
        '''
        :schema: CiliumNetworkPolicySpecIngressFromCidrSet#cidr
        '''
        result = self._values.get("cidr")
        assert result is not None, "Required property 'cidr' is missing"
        return typing.cast(builtins.str, result)

    @builtins.property
    def except_(self) -> typing.Optional[typing.List[builtins.str]]:
        '''Ranges inside it that are left out.

        :schema: CiliumNetworkPolicySpecIngressFromCidrSet#except
        '''
        result = self._values.get("except_")
        return typing.cast(typing.Optional[typing.List[builtins.str]], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "CiliumNetworkPolicySpecIngressFromCidrSet(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="iocilium.CiliumNetworkPolicySpecIngressFromEndpoints",
    jsii_struct_bases=[],
    name_mapping={"match_labels": "matchLabels"},
)
class CiliumNetworkPolicySpecIngressFromEndpoints:
    def __init__(
        self,
        *,
        match_labels: typing.Optional[typing.Mapping[builtins.str, builtins.str]] = None,
    ) -> None:
        '''
        :param match_labels: 

        :schema: CiliumNetworkPolicySpecIngressFromEndpoints
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__32e261785a2e822779086341f2239739bc960949077d95c756997ccf8998b99a)
            check_type(argname="argument match_labels", value=match_labels, expected_type=type_hints["match_labels"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if match_labels is not None:
            self._values["match_labels"] = match_labels

    @builtins.property
    def match_labels(
        self,
    ) -> typing.Optional[typing.Mapping[builtins.str, builtins.str]]:
        '''
        :schema: CiliumNetworkPolicySpecIngressFromEndpoints#matchLabels
        '''
        result = self._values.get("match_labels")
        return typing.cast(typing.Optional[typing.Mapping[builtins.str, builtins.str]], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "CiliumNetworkPolicySpecIngressFromEndpoints(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.enum(jsii_type="iocilium.CiliumNetworkPolicySpecIngressFromEntities")
class CiliumNetworkPolicySpecIngressFromEntities(enum.Enum):
    '''
    :schema: CiliumNetworkPolicySpecIngressFromEntities
    '''

    ALL = "ALL"
    '''all.'''
    CLUSTER = "CLUSTER"
    '''cluster.'''
    HEALTH = "HEALTH"
    '''health.'''
    HOST = "HOST"
    '''host.'''
    INGRESS = "INGRESS"
    '''ingress.'''
    INIT = "INIT"
    '''init.'''
    KUBE_HYPHEN_APISERVER = "KUBE_HYPHEN_APISERVER"
    '''kube-apiserver.'''
    NONE = "NONE"
    '''none.'''
    REMOTE_HYPHEN_NODE = "REMOTE_HYPHEN_NODE"
    '''remote-node.'''
    UNMANAGED = "UNMANAGED"
    '''unmanaged.'''
    WORLD = "WORLD"
    '''world.'''


@jsii.data_type(
    jsii_type="iocilium.CiliumNetworkPolicySpecIngressToPorts",
    jsii_struct_bases=[],
    name_mapping={"ports": "ports"},
)
class CiliumNetworkPolicySpecIngressToPorts:
    def __init__(
        self,
        *,
        ports: typing.Sequence[typing.Union["CiliumNetworkPolicySpecIngressToPortsPorts", typing.Dict[builtins.str, typing.Any]]],
    ) -> None:
        '''
        :param ports: Ports of the pod, after a Service has translated its own.

        :schema: CiliumNetworkPolicySpecIngressToPorts
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__bdf3e8af13ad8874fcac2c9946ae26a35aa3e6f2a37b0db87836d04c56d5bbe9)
            check_type(argname="argument ports", value=ports, expected_type=type_hints["ports"])
        self._values: typing.Dict[builtins.str, typing.Any] = {
            "ports": ports,
        }

    @builtins.property
    def ports(self) -> typing.List["CiliumNetworkPolicySpecIngressToPortsPorts"]:
        '''Ports of the pod, after a Service has translated its own.

        :schema: CiliumNetworkPolicySpecIngressToPorts#ports
        '''
        result = self._values.get("ports")
        assert result is not None, "Required property 'ports' is missing"
        return typing.cast(typing.List["CiliumNetworkPolicySpecIngressToPortsPorts"], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "CiliumNetworkPolicySpecIngressToPorts(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="iocilium.CiliumNetworkPolicySpecIngressToPortsPorts",
    jsii_struct_bases=[],
    name_mapping={"port": "port", "protocol": "protocol"},
)
class CiliumNetworkPolicySpecIngressToPortsPorts:
    def __init__(
        self,
        *,
        port: builtins.str,
        protocol: "CiliumNetworkPolicySpecIngressToPortsPortsProtocol",
    ) -> None:
        '''
        :param port: 
        :param protocol: 

        :schema: CiliumNetworkPolicySpecIngressToPortsPorts
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__e72ade95c0a46f57e32f37e47ebb4990164fd8f4e3f80335b5b82bc206aad4ae)
            check_type(argname="argument port", value=port, expected_type=type_hints["port"])
            check_type(argname="argument protocol", value=protocol, expected_type=type_hints["protocol"])
        self._values: typing.Dict[builtins.str, typing.Any] = {
            "port": port,
            "protocol": protocol,
        }

    @builtins.property
    def port(self) -> builtins.str:
        '''
        :schema: CiliumNetworkPolicySpecIngressToPortsPorts#port
        '''
        result = self._values.get("port")
        assert result is not None, "Required property 'port' is missing"
        return typing.cast(builtins.str, result)

    @builtins.property
    def protocol(self) -> "CiliumNetworkPolicySpecIngressToPortsPortsProtocol":
        '''
        :schema: CiliumNetworkPolicySpecIngressToPortsPorts#protocol
        '''
        result = self._values.get("protocol")
        assert result is not None, "Required property 'protocol' is missing"
        return typing.cast("CiliumNetworkPolicySpecIngressToPortsPortsProtocol", result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "CiliumNetworkPolicySpecIngressToPortsPorts(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.enum(jsii_type="iocilium.CiliumNetworkPolicySpecIngressToPortsPortsProtocol")
class CiliumNetworkPolicySpecIngressToPortsPortsProtocol(enum.Enum):
    '''
    :schema: CiliumNetworkPolicySpecIngressToPortsPortsProtocol
    '''

    ANY = "ANY"
    '''ANY.'''
    ICMP = "ICMP"
    '''ICMP.'''
    ICM_PV6 = "ICM_PV6"
    '''ICMPv6.'''
    SCTP = "SCTP"
    '''SCTP.'''
    TCP = "TCP"
    '''TCP.'''
    UDP = "UDP"
    '''UDP.'''


__all__ = [
    "CiliumNetworkPolicy",
    "CiliumNetworkPolicyProps",
    "CiliumNetworkPolicySpec",
    "CiliumNetworkPolicySpecEgress",
    "CiliumNetworkPolicySpecEgressToCidrSet",
    "CiliumNetworkPolicySpecEgressToEndpoints",
    "CiliumNetworkPolicySpecEgressToEntities",
    "CiliumNetworkPolicySpecEgressToPorts",
    "CiliumNetworkPolicySpecEgressToPortsPorts",
    "CiliumNetworkPolicySpecEgressToPortsPortsProtocol",
    "CiliumNetworkPolicySpecEgressToPortsRules",
    "CiliumNetworkPolicySpecEgressToPortsRulesDns",
    "CiliumNetworkPolicySpecEndpointSelector",
    "CiliumNetworkPolicySpecIngress",
    "CiliumNetworkPolicySpecIngressFromCidrSet",
    "CiliumNetworkPolicySpecIngressFromEndpoints",
    "CiliumNetworkPolicySpecIngressFromEntities",
    "CiliumNetworkPolicySpecIngressToPorts",
    "CiliumNetworkPolicySpecIngressToPortsPorts",
    "CiliumNetworkPolicySpecIngressToPortsPortsProtocol",
]

publication.publish()

def _typecheckingstub__9504ff42fb79993fbb1975d4cb123a70227f856cff11e1220fe61cf0b06c1133(
    scope: _constructs_77d1e7e8.Construct,
    id: builtins.str,
    *,
    metadata: typing.Union[_cdk8s_d3d9af27.ApiObjectMetadata, typing.Dict[builtins.str, typing.Any]],
    spec: typing.Union[CiliumNetworkPolicySpec, typing.Dict[builtins.str, typing.Any]],
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__148024b62be5de93026c2128c839b02adadbaeec7529c29e70b752e6bc6f947f(
    *,
    metadata: typing.Union[_cdk8s_d3d9af27.ApiObjectMetadata, typing.Dict[builtins.str, typing.Any]],
    spec: typing.Union[CiliumNetworkPolicySpec, typing.Dict[builtins.str, typing.Any]],
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__05e1d10cbee2a7718097e81725de2db6637956f36df0431ffe30fff170fe46e3(
    *,
    endpoint_selector: typing.Union[CiliumNetworkPolicySpecEndpointSelector, typing.Dict[builtins.str, typing.Any]],
    egress: typing.Optional[typing.Sequence[typing.Union[CiliumNetworkPolicySpecEgress, typing.Dict[builtins.str, typing.Any]]]] = None,
    ingress: typing.Optional[typing.Sequence[typing.Union[CiliumNetworkPolicySpecIngress, typing.Dict[builtins.str, typing.Any]]]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__eb0baf929d1b8d17160f739abd0de94230f200d7e6f5a81948b89bedc940ac07(
    *,
    to_cidr_set: typing.Optional[typing.Sequence[typing.Union[CiliumNetworkPolicySpecEgressToCidrSet, typing.Dict[builtins.str, typing.Any]]]] = None,
    to_endpoints: typing.Optional[typing.Sequence[typing.Union[CiliumNetworkPolicySpecEgressToEndpoints, typing.Dict[builtins.str, typing.Any]]]] = None,
    to_entities: typing.Optional[typing.Sequence[CiliumNetworkPolicySpecEgressToEntities]] = None,
    to_ports: typing.Optional[typing.Sequence[typing.Union[CiliumNetworkPolicySpecEgressToPorts, typing.Dict[builtins.str, typing.Any]]]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__6080033ec0672b2eb90e62b98cfaaa3d84bcb6ee6f7eb729f18582d49a585712(
    *,
    cidr: builtins.str,
    except_: typing.Optional[typing.Sequence[builtins.str]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__e4b474724c3145456b1dfe537ff10eec431d32b71d832eb5c17e2992bfaf382a(
    *,
    match_labels: typing.Optional[typing.Mapping[builtins.str, builtins.str]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__4f663bae5d926994a796e3d27392e2b9939b5971e3ee626a9e54ba136db712ca(
    *,
    ports: typing.Sequence[typing.Union[CiliumNetworkPolicySpecEgressToPortsPorts, typing.Dict[builtins.str, typing.Any]]],
    rules: typing.Optional[typing.Union[CiliumNetworkPolicySpecEgressToPortsRules, typing.Dict[builtins.str, typing.Any]]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__cbeb9af27e0d6a120e4a5d84a12ec6a714eaac6a2bded3f656234ddf4c6c8ccd(
    *,
    port: builtins.str,
    protocol: CiliumNetworkPolicySpecEgressToPortsPortsProtocol,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__d94daa2a0e50d0c44a73c2c62131f75c9711f665dcec9463da0e2b05db96d68e(
    *,
    dns: typing.Sequence[typing.Union[CiliumNetworkPolicySpecEgressToPortsRulesDns, typing.Dict[builtins.str, typing.Any]]],
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__f48ff16b0f4aaedbd5aac70d75ada42d5bf38f35d106848683772115f4658688(
    *,
    match_pattern: builtins.str,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__2b5546c4c79cbe11d2b7c1b64af4d881bacb7d5b914b88e9ae85f6ca1571a9d3(
    *,
    match_labels: typing.Optional[typing.Mapping[builtins.str, builtins.str]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__bc83f360475cc4f190c75b30fad3398399db00b12a7635009d4095012ab4c130(
    *,
    from_cidr_set: typing.Optional[typing.Sequence[typing.Union[CiliumNetworkPolicySpecIngressFromCidrSet, typing.Dict[builtins.str, typing.Any]]]] = None,
    from_endpoints: typing.Optional[typing.Sequence[typing.Union[CiliumNetworkPolicySpecIngressFromEndpoints, typing.Dict[builtins.str, typing.Any]]]] = None,
    from_entities: typing.Optional[typing.Sequence[CiliumNetworkPolicySpecIngressFromEntities]] = None,
    to_ports: typing.Optional[typing.Sequence[typing.Union[CiliumNetworkPolicySpecIngressToPorts, typing.Dict[builtins.str, typing.Any]]]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__ced38d0cd5722e5a4e9514c47f75dcf2d12bfa2556fa969a4fe93525c1beb150(
    *,
    cidr: builtins.str,
    except_: typing.Optional[typing.Sequence[builtins.str]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__32e261785a2e822779086341f2239739bc960949077d95c756997ccf8998b99a(
    *,
    match_labels: typing.Optional[typing.Mapping[builtins.str, builtins.str]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__bdf3e8af13ad8874fcac2c9946ae26a35aa3e6f2a37b0db87836d04c56d5bbe9(
    *,
    ports: typing.Sequence[typing.Union[CiliumNetworkPolicySpecIngressToPortsPorts, typing.Dict[builtins.str, typing.Any]]],
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__e72ade95c0a46f57e32f37e47ebb4990164fd8f4e3f80335b5b82bc206aad4ae(
    *,
    port: builtins.str,
    protocol: CiliumNetworkPolicySpecIngressToPortsPortsProtocol,
) -> None:
    """Type checking stubs"""
    pass
