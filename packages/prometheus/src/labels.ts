/** A bound of a label. */
export interface LabelBound {
  /** How many values it may have. */
  readonly most: number;
  /** Which ones. */
  readonly values: string;
}

/** Which values a label may have, and how many at most. What is beyond the bound is counted as `other`. */
export const labelBounds = {
  pool: { most: 100, values: 'the Service or host that the pool was made for' },
  external_service: { most: 100, values: 'a Service, as who tells of it knows it: for sources its full name' },
  target: { most: 100, values: 'a host that a Service stands for' },
  source: { most: 4, values: '`dns`, `kubernetes`, `static`' },
  hop: { most: 2, values: '`service`, `target`' },
  from: { most: 3, values: '`cache`, `server`, `stale`' },
  result: { most: 40, values: '`ok`, `alive`, ..., a code of DNS, or a kind of failure (`FailureKind`)' },
  reason: { most: 40, values: 'a kind of failure, or why a check refused' },
  check: { most: 4, values: '`target`, `address`, `tls`, `authentication`' },
  outcome: { most: 2, values: '`not-executed`, `unknown`' },
  phase: { most: 2, values: '`decide`, `drain`' },
  role: { most: 4, values: '`primary`, `standby`, `read-only`, `unknown`' },
  state: { most: 4, values: '`idle`, `used`, `connecting`, `draining`' },
  address: { most: 100, values: '`address:port` of a server' },
  cause: { most: 2, values: '`application`, `planned-switch`' },
  operation: { most: 2, values: '`query`, `transaction`' },
  engine: { most: 20, values: 'an HA engine: `patroni webscaler`' },
  member: { most: 100, values: "a server, by the engine's own name for it" },
  server: { most: 100, values: 'a target, or the host of a plain pool (OpenTelemetry alone)' },
  status: { most: 100, values: 'a SQLSTATE (OpenTelemetry alone)' },
} as const satisfies Record<string, LabelBound>;

export type LabelName = keyof typeof labelBounds;

/** Labels that only OpenTelemetry has. */
export const openTelemetryLabels: ReadonlySet<LabelName> = new Set(['server', 'status']);

/** The first values of a label that come keep their names, and all others share one. */
export class Bounds {
  readonly #known = new Map<LabelName, Set<string>>();

  admit(label: LabelName, value: string): string {
    const known = this.#known.get(label) ?? new Set<string>();
    if (known.has(value)) return value;
    if (known.size >= labelBounds[label].most) return 'other';
    this.#known.set(label, known.add(value));
    return value;
  }
}
