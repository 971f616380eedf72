import type { ServiceReference } from '@externalname/core';
import type { TargetName } from '@externalname/core/targets';
import type { Issue } from '@externalname/core/validation';
import type {
  FieldWriter,
  PostgresInspection,
  ReviewedPermission,
  ShownCertificate,
  SwitchRecord,
} from '@externalname/kubernetes';
import type { NameAnswer } from '../names/name-answer.ts';

/** Everything that `diagnose()` found out. Rules judge it; nothing in it is a judgement. */
export interface Facts {
  /** What was asked about. */
  readonly asked: Asked;
  /** When it was found out, RFC 3339. */
  readonly at: string;
  /** The Service, as the Kubernetes API has it. */
  readonly service: ServiceFacts;
  /** The name that the policy checks and TLS verifies: by the API, and through hops inside the cluster by DNS. */
  readonly target: TargetName | undefined;
  /** Whether the allow-list lets the target pass. */
  readonly policy: PolicyFacts;
  /** What each nameserver says. */
  readonly dns: DnsFacts;
  /** The addresses of the target, as all nameservers gave them. Empty if there is no target, or the policy refuses it. */
  readonly endpoints: readonly EndpointFacts[];
  /** What the user of the kubeconfig may do with the Service. */
  readonly access: AccessFacts;
}

/** What was asked about. */
export interface Asked {
  /** Its names. */
  readonly reference: ServiceReference;
  /** The Service as the user named it. */
  readonly written: string;
  /** The port of the target. */
  readonly port: number;
  /** What is spoken on the port. */
  readonly protocol: Protocol;
  /** The role that the PostgreSQL server should have. */
  readonly role: 'primary' | 'standby' | 'any';
  /** `kubectl` with the options that name the same cluster and namespace. */
  readonly kubectl: string;
  /** The program that commands of findings call. */
  readonly program: string;
  /** The same options for a command of that program, each with a space before it. */
  readonly flags: string;
}

/** What is spoken on the port. */
export type Protocol = 'postgres' | 'tls' | 'https' | 'tcp';

/** A request that failed: the error's code, and its message in one line. */
export interface Failed {
  /** To tell it from what was found. */
  readonly kind: 'failed';
  /** The code of the error; empty if it had none. */
  readonly code: string;
  /** Printable, without a full stop. */
  readonly message: string;
}

/** The Service, as the Kubernetes API has it. */
export type ServiceFacts =
  | {
      readonly kind: 'found';
      /** Address of the API server, and the context. */
      readonly cluster: string;
      /** `spec.type` */
      readonly type: string;
      /** As it is written. */
      readonly externalName: string | undefined;
      /** Canonical; undefined unless the Service is of type ExternalName. */
      readonly target: string | undefined;
      /** What `validate()` of core says about it. */
      readonly issues: readonly Issue[];
      /** The tools that will put the old name back after a switch. */
      readonly owners: readonly string[];
      /** Who has written `spec.externalName`. */
      readonly writers: readonly FieldWriter[];
      /** The last switch that was recorded. */
      readonly lastSwitch: SwitchRecord | undefined;
    }
  /** `others` are the Services of type ExternalName in the same namespace. */
  | { readonly kind: 'missing'; readonly cluster: string; readonly others: readonly string[] }
  | Failed;

/** Whether the allow-list lets the target pass. */
export interface PolicyFacts {
  /** The list; undefined if there was none. */
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

/** One address of the target. */
export interface EndpointFacts {
  /** IPv4 or IPv6. */
  readonly address: string;
  /** The policy's own error for the address: it was not connected to. */
  readonly refusal: Failed | undefined;
  /** Whether the port is open. Undefined, as those below: it was not tried. */
  readonly tcp: { readonly kind: 'open'; readonly elapsedMillis: number } | Failed | undefined;
  /** What the handshake showed. */
  readonly tls: TlsFacts | Failed | undefined;
  /** What the server said after a login. */
  readonly postgres: ({ readonly kind: 'answered' } & PostgresInspection) | Failed | undefined;
  /** The answer to the request. */
  readonly http: HttpFacts | Failed | undefined;
}

/** What the handshake showed. */
export interface TlsFacts {
  /** To tell it from a failure. */
  readonly kind: 'shown';
  /** `TLSv1.3` */
  readonly protocol: string;
  /** Why the certificate is not trusted, as OpenSSL calls it. */
  readonly distrust: string | undefined;
  /** Why the certificate does not prove the target. */
  readonly identity: string | undefined;
  /** The names and addresses in the certificate. */
  readonly names: readonly string[];
  /** Whether the certificate names its host in the common name alone. */
  readonly commonNameOnly: boolean;
  /** What the server sent, its own certificate first. */
  readonly chain: readonly ShownCertificate[];
}

/** The answer to one HEAD request, with the target as its host. */
export interface HttpFacts {
  /** To tell it from a failure. */
  readonly kind: 'answered';
  /** Status of HTTP. */
  readonly status: number;
  /** The `Location` of a redirect. */
  readonly location: string | undefined;
  /** Milliseconds until the answer. */
  readonly elapsedMillis: number;
}

/** What the user of the kubeconfig may do with the Service. */
export type AccessFacts =
  | {
      readonly kind: 'reviewed';
      /** Name of the user in the kubeconfig. */
      readonly user: string | undefined;
      /** What it may do. */
      readonly permissions: readonly ReviewedPermission[];
    }
  | Failed;

/** The name of the target, for sentences. */
export function targetOf({ target }: Facts): string {
  return target?.externalName ?? 'the target';
}
