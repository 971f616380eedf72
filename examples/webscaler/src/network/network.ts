import { type ChildProcess, execFile, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { isInOwnNetwork, searchPath } from './enter.ts';

/** Addresses of one machine, in both families. */
export interface Addresses {
  readonly ipv4: string;
  readonly ipv6: string;
}

/** See {@link Network.pod}. */
export interface PodOptions {
  /** Text of `/etc/resolv.conf`. */
  readonly resolvConf: string;
  /** Families that the pod has addresses of. @defaultValue both */
  readonly families?: readonly (4 | 6)[] | undefined;
  /** Files of the service account, by name. @defaultValue none */
  readonly serviceAccount?: Readonly<Record<string, string>> | undefined;
  /** `KUBERNETES_SERVICE_HOST` and `_PORT`. @defaultValue the Service `kubernetes` */
  readonly api?: { readonly host: string; readonly port: number } | undefined;
}

/** Something that was done to the network, and can be taken back. */
export interface NetworkFault extends AsyncDisposable {
  end(): Promise<void>;
}

/**
 * Three machines on one: the **site**, in which this process runs and the servers listen; a **node**, which routes, filters and
 * translates addresses as kube-proxy does; and a **pod** behind it. Each is a network namespace; pairs of virtual Ethernet devices
 * join them. No address of the one is an address of another, and no traffic leaves them.
 *
 * ```
 *   site  203.0.113.11, .12 (databases)        node                               pod
 *         10.244.9.10 (DNS), .1 (API)  --------  10.96.0.10:53 -> 10.244.9.10  ----  10.244.1.2
 *         2001:db8:113::11, ::12                10.96.0.1:443 -> 10.244.9.1:6443    fd00:10:244:1::2
 * ```
 *
 * The process must have been started by `runInOwnNetwork`. What is made here is gone when the process is.
 */
export class Network implements AsyncDisposable {
  readonly #node: Namespace;
  readonly #pods = new Set<Pod>();
  #faults = 0;

  private constructor(node: Namespace) {
    this.#node = node;
  }

  /** Joins site and node. */
  static async open(): Promise<Network> {
    if (!isInOwnNetwork()) throw new Error('this process is not in a network of its own: start it by runInOwnNetwork');
    const node = await Namespace.make('');
    try {
      await run('sh', ['-ec', siteScript(node.processId)]);
      await node.run(nodeScript);
      await node.run(`nft -f - <<'END'\n${serviceRules}\nEND`);
    } catch (error) {
      await node.close();
      throw error;
    }
    return new Network(node);
  }

  /** Makes a pod. One at a time: they have the same addresses. */
  async pod(options: PodOptions): Promise<Pod> {
    const pod = await Namespace.make(podFilesScript(options));
    await this.#node.run(`ip link add pod0 type veth peer name eth0 netns ${pod.processId}\n${nodePodScript}`);
    const { families = [4, 6] } = options;
    await pod.run(podScript(families));
    const made: Pod = new Pod(pod, options.api, () => this.#pods.delete(made));
    this.#pods.add(made);
    return made;
  }

  /** Adds addresses to the site, to listen on. */
  async addToSite(...addresses: readonly string[]): Promise<void> {
    await run('sh', ['-ec', addressScript('lo', addresses)]);
  }

  /**
   * What the node does with packets that it forwards between pod and site: statements of nftables (nft(8)), of which the first that
   * fits decides. `ip daddr 203.0.113.11 drop`, `tcp dport 5432 reject with tcp reset`.
   */
  forward(...rules: readonly string[]): Promise<NetworkFault> {
    return this.#table(`chain forward { type filter hook forward priority -10; ${rules.join('; ')}; }`);
  }

  /** Sends what is for one address and port to another, as a Service of type ClusterIP, a NAT gateway or a load balancer does. */
  translate(from: string, to: string): Promise<NetworkFault> {
    const [source, target] = [endpointOf(from), endpointOf(to)];
    const family = source.address.includes(':') ? 'ip6' : 'ip';
    const place = family === 'ip6' ? `[${target.address}]:${target.port}` : `${target.address}:${target.port}`;
    const rule = `${family} daddr ${source.address} tcp dport ${source.port} dnat ${family} to ${place}`;
    return this.#table(`chain prerouting { type nat hook prerouting priority -110; ${rule}; }`);
  }

  /** Loses this share of all packets, in each direction by itself. */
  lose(percent: number): Promise<NetworkFault> {
    return this.forward(`numgen random mod 1000 < ${Math.round(percent * 10)} drop`);
  }

  /** Drops what does not come in one piece, as many firewalls do. */
  async dropFragments(): Promise<NetworkFault> {
    // Where connections are tracked, fragments are put together first. So they are dropped before: at the devices.
    const rules = ['ip frag-off & 0x3fff != 0 drop', 'exthdr frag exists drop'].join('; ');
    const chain = (device: string) =>
      `chain ${device} { type filter hook ingress device "${device}" priority -500; ${rules}; }`;
    return this.#table([chain('site0'), chain('pod0')].join('\n'), 'netdev');
  }

  /**
   * Forgets a connection that carried nothing for so long, as NAT gateways do (AWS: 350 s). What comes after that belongs to nothing,
   * and is dropped, or answered by a reset.
   */
  async forgetIdle(seconds: number, then: 'drop' | 'reset'): Promise<NetworkFault> {
    const verdict = then === 'drop' ? 'drop' : 'meta l4proto tcp reject with tcp reset';
    const settings = `/proc/sys/net/netfilter/nf_conntrack_tcp`;
    await this.#node.run(`echo 0 > ${settings}_loose\necho ${seconds} > ${settings}_timeout_established`);
    const fault = await this.forward(`ct state invalid ${verdict}`);
    const end = async () => {
      await this.#node.run(`echo 1 > ${settings}_loose\necho 432000 > ${settings}_timeout_established`);
      await fault.end();
    };
    return { end, [Symbol.asyncDispose]: end };
  }

  /** Runs a shell script on the node. */
  onNode(script: string): Promise<string> {
    return this.#node.run(script);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#pods].map((pod) => pod.close()));
    await this.#node.close();
    await run('sh', ['-ec', 'ip link delete site1 2>/dev/null || true']);
  }

  async #table(chains: string, family: 'inet' | 'netdev' = 'inet'): Promise<NetworkFault> {
    this.#faults += 1;
    const name = `${family} fault${this.#faults}`;
    await this.#node.run(`nft -f - <<'END'\ntable ${name} {\n${chains}\n}\nEND`);
    let ended: Promise<unknown> | undefined;
    const end = async () => {
      ended ??= this.#node.run(`nft delete table ${name}`);
      await ended;
    };
    return { end, [Symbol.asyncDispose]: end };
  }
}

/** A pod: a network of its own, and its own `/etc/resolv.conf` and service account. */
export class Pod {
  readonly #namespace: Namespace;
  readonly #api: { readonly host: string; readonly port: number };
  readonly #onClosed: () => void;

  /** @internal */
  constructor(namespace: Namespace, api: PodOptions['api'], onClosed: () => void) {
    this.#namespace = namespace;
    this.#api = api ?? { host: clusterAddresses.api.ipv4, port: 443 };
    this.#onClosed = onClosed;
  }

  /**
   * Starts a Node.js program there, with a channel to this process. It sees what a pod sees: the variables of the Kubernetes API, and
   * nothing of this process's kubeconfig.
   *
   * @param imports modules that are loaded before the program
   */
  fork(program: string, imports: readonly string[] = []): ChildProcess {
    const { KUBECONFIG: _, ...env } = process.env;
    const { host, port } = this.#api;
    const loaded = imports.flatMap((module) => ['--import', module]);
    return fork(program, {
      execPath: 'nsenter',
      // Everything up to the program goes to nsenter, which becomes the Node.js that runs the program.
      execArgv: [
        ...this.#namespace.entering,
        'sh',
        '-c',
        inRoot,
        root,
        process.execPath,
        ...sourceArguments,
        ...loaded,
      ],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { ...env, PATH: searchPath(), KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: String(port) },
    });
  }

  /** Runs a shell script there, and gives what it printed. */
  run(script: string): Promise<string> {
    return this.#namespace.run(script);
  }

  /** Writes files of the service account again, as kubelet does when it rotates the token: by a rename. */
  async writeServiceAccount(files: Readonly<Record<string, string>>): Promise<void> {
    await this.run(serviceAccountScript(files));
  }

  async close(): Promise<void> {
    await this.#namespace.close();
    this.#onClosed();
  }
}

/** A network and mount namespace, held by a process that ends with this one. */
class Namespace {
  readonly processId: number;
  readonly #holder: ChildProcess;

  private constructor(holder: ChildProcess, processId: number) {
    this.#holder = holder;
    this.processId = processId;
  }

  /** @param script what is done first in there */
  static async make(script: string): Promise<Namespace> {
    // cat reads a pipe whose other end is here: it ends when this process does, and with it the namespace.
    const inside = `set -e\nip link set lo up\n${script}\necho ready\nexec cat > /dev/null`;
    const holder = spawn('unshare', ['--net', '--mount', '--propagation', 'private', 'sh', '-c', inside], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, PATH: searchPath() },
    });
    const ended = once(holder, 'exit').then(() => {
      throw new Error('a network namespace could not be made: see above');
    });
    await Promise.race([once(holder.stdout, 'data'), ended]);
    ended.catch(() => undefined);
    if (holder.pid === undefined) throw new Error('the holder of a network namespace has no process id');
    return new Namespace(holder, holder.pid);
  }

  /** Arguments of nsenter(1), to be followed by a command. */
  get entering(): readonly string[] {
    return ['--target', String(this.processId), '--net', '--mount', '--'];
  }

  run(script: string): Promise<string> {
    return run('nsenter', [...this.entering, 'sh', '-ec', script]);
  }

  async close(): Promise<void> {
    if (this.#holder.exitCode !== null || this.#holder.signalCode !== null) return;
    const exited = once(this.#holder, 'exit');
    this.#holder.kill('SIGKILL');
    await exited;
  }
}

async function run(program: string, parameters: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, parameters, {
    timeout: 10_000,
    env: { ...process.env, PATH: searchPath() },
  });
  return stdout;
}

function endpointOf(text: string): { readonly address: string; readonly port: string } {
  const { address = '', port = '' } = /^\[?(?<address>[^\]]+?)\]?:(?<port>\d+)$/.exec(text)?.groups ?? {};
  return { address, port };
}

function addressScript(device: string, addresses: readonly string[]): string {
  // nodad: an IPv6 address is otherwise not usable for a second or two (RFC 4862 section 5.4).
  return addresses
    .map((address) => `ip address replace ${address}${address.includes(':') ? '/128 nodad' : '/32'} dev ${device}`)
    .join('\n');
}

function siteScript(node: number): string {
  return `ip link set lo up
${addressScript('lo', siteAddresses)}
ip link add site1 type veth peer name site0 netns ${node}
ip address add 192.0.2.2/30 dev site1
ip address add 2001:db8:2::2/64 dev site1 nodad
ip link set site1 up
ip route add 10.244.1.0/24 via 192.0.2.1
ip -6 route add fd00:10:244:1::/64 via 2001:db8:2::1`;
}

const nodeScript = `echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
ip address add 192.0.2.1/30 dev site0
ip address add 2001:db8:2::1/64 dev site0 nodad
ip link set site0 up
ip route add default via 192.0.2.2
ip -6 route add default via 2001:db8:2::2`;

const nodePodScript = `ip address add 10.244.1.1/24 dev pod0
ip address add fd00:10:244:1::1/64 dev pod0 nodad
ip link set pod0 up`;

function podScript(families: readonly (4 | 6)[]): string {
  const lines = ['ip link set eth0 up'];
  if (families.includes(4)) lines.push('ip address add 10.244.1.2/24 dev eth0', 'ip route add default via 10.244.1.1');
  if (families.includes(6)) {
    lines.push('ip address add fd00:10:244:1::2/64 dev eth0 nodad', 'ip -6 route add default via fd00:10:244:1::1');
  }
  return lines.join('\n');
}

function podFilesScript({ resolvConf, serviceAccount = {} }: PodOptions): string {
  // A name service of the host (systemd-resolved, nscd) is reached over a socket in /run, past every network namespace.
  return `mount -t tmpfs none /run
mount -t tmpfs none /mnt
${fileScript('/mnt/resolv.conf', resolvConf)}
${fileScript('/mnt/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n')}
${fileScript('/mnt/hosts', '127.0.0.1 localhost\n::1 localhost\n')}
for name in resolv.conf nsswitch.conf hosts; do
  target=$(readlink -m /etc/$name)
  mkdir -p "$(dirname "$target")"
  [ -e "$target" ] || : > "$target"
  mount --bind /mnt/$name "$target"
done
mkdir -p ${serviceAccountFolder}
${serviceAccountScript(serviceAccount)}`;
}

function serviceAccountScript(files: Readonly<Record<string, string>>): string {
  return Object.entries(files)
    .map(([name, text]) => {
      const path = `${serviceAccountFolder}/${name}`;
      return `${fileScript(`${path}.new`, text)}\nmv ${path}.new ${path}`;
    })
    .join('\n');
}

function fileScript(path: string, text: string): string {
  return `printf %s '${text.replaceAll("'", `'\\''`)}' > ${path}`;
}

/** Where the servers of the site listen. */
export const site = {
  databases: {
    primary: { ipv4: '203.0.113.11', ipv6: '2001:db8:113::11' },
    standby: { ipv4: '203.0.113.12', ipv6: '2001:db8:113::12' },
  },
  dns: { ipv4: '10.244.9.10', ipv6: 'fd00:10:244:9::10' },
  /** A second DNS server. */
  otherDns: { ipv4: '10.244.9.11', ipv6: 'fd00:10:244:9::11' },
  api: { ipv4: '10.244.9.1', ipv6: 'fd00:10:244:9::1' },
} as const satisfies Record<string, Addresses | Record<string, Addresses>>;

/** Where a pod looks for them: the Services `kube-dns` and `kubernetes`. */
export const clusterAddresses = {
  dns: { ipv4: '10.96.0.10', ipv6: 'fd00:10:96::a' },
  api: { ipv4: '10.96.0.1', ipv6: 'fd00:10:96::1' },
} as const satisfies Record<string, Addresses>;

/** Port of the API server in the site. */
export const apiPort = 6443;

const siteAddresses = [
  ...Object.values(site.databases).flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6]),
  ...[site.dns, site.otherDns, site.api].flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6]),
];

// As kube-proxy in its nftables mode: a Service's address is translated on the pod's own node.
const serviceRules = `table inet services {
  chain prerouting {
    type nat hook prerouting priority dstnat;
    ip daddr ${clusterAddresses.dns.ipv4} meta l4proto { tcp, udp } th dport 53 dnat ip to ${site.dns.ipv4}
    ip6 daddr ${clusterAddresses.dns.ipv6} meta l4proto { tcp, udp } th dport 53 dnat ip6 to ${site.dns.ipv6}
    ip daddr ${clusterAddresses.api.ipv4} tcp dport 443 dnat ip to ${site.api.ipv4}:${apiPort}
    ip6 daddr ${clusterAddresses.api.ipv6} tcp dport 443 dnat ip6 to [${site.api.ipv6}]:${apiPort}
  }
}`;

const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';
const root = resolve(import.meta.dirname, '../../../..');
// Who enters a mount namespace is in its root folder.
const inRoot = 'cd "$0" && exec "$@"';
const sourceArguments = ['--conditions=@externalname/source', '--import', 'tsx'];
