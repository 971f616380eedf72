import type { ServiceReference } from '@externalname/core';
import type { Hop, QueryFailure, ResolutionFailure, ResolvedAddress } from '@externalname/core/dns';
import type { TargetName } from '@externalname/core/targets';
import type { Issue } from '@externalname/core/validation';
import type {
  FieldWriter,
  PostgresInspection,
  ReviewedPermission,
  ShownCertificate,
  SwitchRecord,
} from '@externalname/kubernetes';

/** Everything that `doctor` found out. Rules judge it; nothing in it is a judgement. */
export interface Facts {
  readonly asked: Asked;
  /** When it was found out, RFC 3339. */
  readonly at: string;
  readonly service: ServiceFacts;
  /** The name that the policy checks and TLS verifies: by the API, and through hops inside the cluster by DNS. */
  readonly target: TargetName | undefined;
  readonly policy: PolicyFacts;
  readonly dns: DnsFacts;
  /** The addresses of the target, as all nameservers gave them. Empty if there is no target, or the policy refuses it. */
  readonly endpoints: readonly EndpointFacts[];
  readonly access: AccessFacts;
}

/** What `doctor` was asked about. */
export interface Asked {
  readonly reference: ServiceReference;
  /** The Service as the user named it. */
  readonly written: string;
  readonly port: number;
  readonly protocol: Protocol;
  /** The role that the PostgreSQL server should have. */
  readonly role: 'primary' | 'standby' | 'any';
  /** `kubectl` with the options that name the same cluster and namespace. */
  readonly kubectl: string;
  /** This program. */
  readonly program: string;
  /** The same options for a command of this program, each with a space before it. */
  readonly flags: string;
}

/** What is spoken on the port. */
export type Protocol = 'postgres' | 'tls' | 'https' | 'tcp';

/** A request that failed: the error's code, and its message in one line. */
export interface Failed {
  readonly kind: 'failed';
  readonly code: string;
  readonly message: string;
}

/** The Service, as the Kubernetes API has it. */
export type ServiceFacts =
  | {
      readonly kind: 'found';
      readonly cluster: string;
      readonly type: string;
      /** As it is written. */
      readonly externalName: string | undefined;
      /** Canonical; undefined unless the Service is of type ExternalName. */
      readonly target: string | undefined;
      readonly issues: readonly Issue[];
      readonly owners: readonly string[];
      readonly writers: readonly FieldWriter[];
      readonly lastSwitch: SwitchRecord | undefined;
    }
  /** `others` are the Services of type ExternalName in the same namespace. */
  | { readonly kind: 'missing'; readonly cluster: string; readonly others: readonly string[] }
  | Failed;

/** Whether the allow-list lets the target pass. */
export interface PolicyFacts {
  readonly allowedTargets: readonly string[] | 'any' | undefined;
  /** Where the list is from. */
  readonly from: 'option' | 'environment' | undefined;
  /** The policy's own error for the target. */
  readonly refusal: Failed | undefined;
}

/** What each nameserver says. */
export interface DnsFacts {
  /** `cluster`: they were named, or are those of a pod. `machine`: those of this machine, which do not know the cluster. */
  readonly from: 'cluster' | 'machine';
  /** About the name of the Service; empty for `machine`. */
  readonly service: readonly NameAnswer[];
  /** About the target by itself; empty if there is none. */
  readonly target: readonly NameAnswer[];
  /** The failing names that a lookup of the Service, as it was written, asks for first. Undefined outside of a pod. */
  readonly wasted: readonly string[] | undefined;
}

/** The answer of one nameserver about one name. */
export interface NameAnswer {
  /** `address:port` */
  readonly server: string;
  readonly name: string;
  readonly outcome: 'addresses' | ResolutionFailure;
  /** If the outcome is `unavailable`: what went wrong with the query. */
  readonly failure: QueryFailure | undefined;
  readonly detail: string;
  readonly chain: readonly Hop[];
  readonly addresses: readonly ResolvedAddress[];
  readonly elapsedMillis: number;
}

/** One address of the target. */
export interface EndpointFacts {
  readonly address: string;
  /** The policy's own error for the address: it was not connected to. */
  readonly refusal: Failed | undefined;
  readonly tcp: { readonly kind: 'open'; readonly elapsedMillis: number } | Failed | undefined;
  readonly tls: TlsFacts | Failed | undefined;
  readonly postgres: ({ readonly kind: 'answered' } & PostgresInspection) | Failed | undefined;
  readonly http: HttpFacts | Failed | undefined;
}

/** What the handshake showed. */
export interface TlsFacts {
  readonly kind: 'shown';
  readonly protocol: string;
  readonly distrust: string | undefined;
  /** Why the certificate does not prove the target. */
  readonly identity: string | undefined;
  readonly names: readonly string[];
  readonly commonNameOnly: boolean;
  readonly chain: readonly ShownCertificate[];
}

/** The answer to one HEAD request, with the target as its host. */
export interface HttpFacts {
  readonly kind: 'answered';
  readonly status: number;
  readonly location: string | undefined;
  readonly elapsedMillis: number;
}

/** What the user of the kubeconfig may do with the Service. */
export type AccessFacts =
  | {
      readonly kind: 'reviewed';
      readonly user: string | undefined;
      readonly permissions: readonly ReviewedPermission[];
    }
  | Failed;

/** The name of the target, for sentences. */
export function targetOf({ target }: Facts): string {
  return target?.externalName ?? 'the target';
}
