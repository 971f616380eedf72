import { randomUUID } from 'node:crypto';
import { type Dependencies, type ServiceReference, TargetRefusedError } from '@externalname/core';
import { splitBrainSeen } from '@externalname/core/events';
import { anything, ownOptions, printable, sleep } from '@externalname/core/internal';
import { type JsonPatchOperation, patchContentTypes } from '@externalname/core/manifests';
import { canonicalName, parseHostName } from '@externalname/core/names';
import { KubernetesRefusedError, KubernetesUnavailableError } from '../api/errors.ts';
import { KubernetesApi } from '../api/kubernetes-api.ts';
import { writePlan } from '../api/planned-switch.ts';
import { podDns } from '../api/pod-dns.ts';
import { pendingReference } from '../api/reference.ts';
import { attemptTo, getService, servicePath } from '../api/services.ts';
import { NotExternalNameError } from '../errors.ts';
import { describeCluster } from '../kubeconfig/cluster-name.ts';
import type { Objection, ObjectionKind } from '../probes/postgres-state.ts';
import { runProbes } from '../probes/run-probes.ts';
import type { SwitchOptions, SwitchTargetOptions } from './options.ts';
import { waitForPropagation } from './propagation.ts';
import { SwitchFailedError, SwitchRefusedError, type SwitchReport } from './report.ts';
import { fieldManager, gitOpsOwners, readServiceToSwitch, type ServiceToSwitch } from './service-object.ts';
import { allowedTarget, isAllowed, type SwitchSettings, switchSettings } from './settings.ts';
import { switchEvent } from './switch-event.ts';
import { SwitchLog } from './switch-log.ts';
import { planPatch, readSwitchRecord, type SwitchRecord, switchAnnotations, switchPatch } from './switch-patch.ts';
import { type WatchPropagation, waitForWatch } from './watch-propagation.ts';

/**
 * Switches a Service to another target safely: it checks the new name and the policy, reads the Service, probes both targets,
 * lets the API server check the patch, changes the Service only if it has not changed meanwhile, records who did it and why, and
 * waits until the change is visible.
 *
 * Needs `get` and `patch` on that Service; with `watch` and `list` it also sees the change arrive, with `create` on
 * `events` it writes an Event. If one of these permissions is missing, the report contains a warning.
 *
 * @throws SwitchRefusedError `ERR_EXTERNALNAME_SWITCH_REFUSED` if it is not safe; see `objections` and `accept`
 * @throws SwitchFailedError `ERR_EXTERNALNAME_SWITCH_FAILED` if a step failed; `report` tells you how far it got
 * @throws TargetRefusedError `ERR_EXTERNALNAME_TARGET_REFUSED` if `to` is not on the allow-list, before any I/O
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for options that cannot be used, before any I/O
 *
 * @example
 * ```ts
 * const report = await switchTarget({
 *   service: 'webscaler-db',
 *   expect: 'primary-db.example.com',
 *   to: 'secondary-db.example.com',
 *   allowedTargets: ['primary-db.example.com', 'secondary-db.example.com'],
 *   reason: 'region down',
 * });
 * ```
 */
export async function switchTarget(given: SwitchTargetOptions, dependencies: Dependencies = {}): Promise<SwitchReport> {
  const options = ownOptions(given);
  const { to, expect } = options;
  const settings = switchSettings<SwitchTargetOptions>(options, dependencies, { to: anything, expect: anything });
  const target = allowedTarget(options, to, 'to');
  return new Switch(options, settings).run(target, expect === undefined ? undefined : parseHostName(expect, 'expect'));
}

/**
 * Switches back to where the Service pointed before the last {@link switchTarget}, by the same steps. It is refused if nothing was
 * recorded, or if the Service was pointed elsewhere since.
 *
 * @throws SwitchRefusedError `ERR_EXTERNALNAME_SWITCH_REFUSED` with `nothing-to-roll-back` or `unexpected-target`, and all that
 * `switchTarget` throws
 */
export async function rollback(given: SwitchOptions, dependencies: Dependencies = {}): Promise<SwitchReport> {
  const options = ownOptions(given);
  return new Switch(options, switchSettings(options, dependencies, {})).rollBack();
}

class Switch {
  readonly #options: SwitchOptions;
  readonly #settings: SwitchSettings;
  readonly #api: KubernetesApi;
  readonly #complete: () => Promise<ServiceReference>;
  readonly #log: SwitchLog;
  readonly #signal: AbortSignal | undefined;

  constructor(options: SwitchOptions, settings: SwitchSettings) {
    this.#options = options;
    this.#settings = settings;
    this.#signal = options.signal;
    this.#api = new KubernetesApi(options.kubeConfig, settings.clock);
    const service = pendingReference(options, () => this.#api.namespace());
    this.#complete = service.complete;
    const about = { service: service.given.fullName, id: randomUUID(), reason: settings.reason };
    this.#log = new SwitchLog(settings.clock, about, settings.onProgress);
  }

  async run(to: string, expect: string | undefined): Promise<SwitchReport> {
    this.#log.facts.to = to;
    return this.#telling(async () => {
      const { reference, service } = await this.#read();
      return this.#switch(reference, service, to, expect);
    });
  }

  async rollBack(): Promise<SwitchReport> {
    this.#log.facts.to = 'its previous target';
    return this.#telling(async () => {
      const { reference, service } = await this.#read();
      const last = readSwitchRecord(service);
      if (last === undefined) {
        throw this.#refusal([
          {
            kind: 'nothing-to-roll-back',
            message: 'the Service has no record of a switch: name the target in switchTarget()',
          },
        ]);
      }
      const to = allowedTarget(this.#options, last.previous, switchAnnotations.previous);
      this.#log.facts.to = to;
      return this.#switch(reference, service, to, canonicalName(last.target));
    });
  }

  async #switch(
    reference: ServiceReference,
    service: ServiceToSwitch,
    to: string,
    expect: string | undefined,
  ): Promise<SwitchReport> {
    const { facts } = this.#log;
    const from = this.#targetOf(service, reference);
    if (from === to) {
      facts.result = 'unchanged';
      this.#log.skip(['probe', 'dry-run', 'patch', 'event', 'watch'], 'the Service already points there');
      await this.#seeInDns(reference, to);
      return this.#log.report();
    }
    if (expect !== undefined && from !== expect) {
      const message = `the Service points to ${from}, not to ${expect}: find out who changed it, then pass that name as expect`;
      throw this.#refusal([{ kind: 'unexpected-target', message }]);
    }
    for (const owner of gitOpsOwners(service)) {
      facts.warnings.push(
        `${owner} manages this Service and will put ${from} back: change the name in its source too, or have it ignore spec.externalName`,
      );
    }
    const announced = await this.#announce(reference, service, to);
    try {
      return await this.#carryOut(reference, announced ?? service, to, from);
    } catch (error) {
      if (announced !== undefined) await this.#takeBack(reference, announced);
      throw error;
    }
  }

  /** Tells pools that watch the Service. They can do without, so a failure is a warning. */
  async #announce(
    reference: ServiceReference,
    service: ServiceToSwitch,
    to: string,
  ): Promise<ServiceToSwitch | undefined> {
    const { announceMillis, dryRun } = this.#settings;
    if (announceMillis === 0 || dryRun) return undefined;
    try {
      const plan = planPatch(service, writePlan(to, announceMillis, this.#log.facts.id));
      return readServiceToSwitch(await this.#sendOperations(reference, plan, false));
    } catch (error) {
      this.#signal?.throwIfAborted();
      this.#log.facts.warnings.push(`the switch was not announced: ${error instanceof Error ? error.message : error}`);
      return undefined;
    }
  }

  /** If it fails, the announcement runs out by itself. Guarded, so that it changes nothing if the Service was switched. */
  async #takeBack(reference: ServiceReference, announced: ServiceToSwitch): Promise<void> {
    await this.#sendOperations(reference, planPatch(announced, undefined), false).catch(() => undefined);
  }

  async #carryOut(
    reference: ServiceReference,
    service: ServiceToSwitch,
    to: string,
    from: string,
  ): Promise<SwitchReport> {
    const { facts } = this.#log;
    await this.#probe(to, from);
    facts.by = this.#settings.by ?? (await this.#userName());
    const record: SwitchRecord = {
      id: facts.id,
      previous: from,
      target: to,
      by: facts.by,
      at: facts.at,
      reason: this.#settings.reason,
    };
    const { skip, dryRun } = this.#settings;
    if (dryRun || !skip.has('dry-run')) await this.#dryRun(reference, service, record);
    else this.#log.skip(['dry-run'], leftOut);
    if (dryRun) {
      facts.result = 'dry-run';
      this.#log.skip(['patch', 'event', 'watch', 'dns'], 'a dry run changes nothing');
      return this.#log.report();
    }
    await using watch = skip.has('watch')
      ? undefined
      : await waitForWatch(await this.#api.config(), this.#options, this.#settings, to);
    await this.#patch(reference, service, record);
    watch?.start();
    await this.#writeEvent(reference, service, record);
    if (watch === undefined) this.#log.skip(['watch'], leftOut);
    else await this.#seeInWatch(watch);
    await this.#seeInDns(reference, to);
    return this.#log.report();
  }

  /** Runs the work; an error that ends it early carries the report. */
  async #telling(work: () => Promise<SwitchReport>): Promise<SwitchReport> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof TargetRefusedError) this.#sayWhere(error);
      if (error instanceof SwitchRefusedError || error instanceof TargetRefusedError) throw error;
      // Aborted before anything was changed: only the reason matters.
      if (this.#signal?.aborted && this.#log.facts.result === 'not-switched') throw error;
      throw new SwitchFailedError(this.#log.report(), { cause: error });
    }
  }

  /** Adds the cluster to an error of core, which does not know it. */
  #sayWhere(error: Error): void {
    const { cluster, service } = this.#log.facts;
    if (cluster !== undefined) error.message += `. The Service is ${service} at ${describeCluster(cluster)}`;
  }

  #read(): Promise<{ reference: ServiceReference; service: ServiceToSwitch }> {
    return this.#log.step('read', async (step) => {
      this.#log.facts.cluster = await this.#api.cluster();
      const reference = await this.#complete();
      this.#log.facts.service = reference.fullName;
      const service = await this.#get(reference);
      this.#log.facts.from = this.#targetOf(service, reference);
      step.detail = `points to ${this.#log.facts.from}`;
      return { reference, service };
    });
  }

  #get(reference: ServiceReference): Promise<ServiceToSwitch> {
    return getService(this.#api, reference, readServiceToSwitch, {
      timeoutMillis: this.#settings.requestTimeoutMillis,
      signal: this.#signal,
    });
  }

  #targetOf(service: ServiceToSwitch, reference: ServiceReference): string {
    if (service.target === undefined) throw new NotExternalNameError(reference, service.type);
    return service.target;
  }

  async #probe(to: string, from: string): Promise<void> {
    const {
      targetProbes,
      previousProbes,
      accept,
      maxLagBytes,
      probeTimeoutMillis: timeoutMillis,
      clock,
    } = this.#settings;
    if (targetProbes.length + previousProbes.length === 0) return this.#log.skip(['probe'], 'no probes were given');
    // Before any probe: an attacker who can edit the Service could point it to their own server, and read the password.
    const mayAsk = previousProbes.length === 0 || isAllowed(this.#options, from);
    const notAllowed: Objection[] = mayAsk
      ? []
      : [
          {
            kind: 'previous-not-allowed',
            message:
              `the Service points to ${printable(from, 300)}, which is not on the allow-list: it was not probed, so its ` +
              "lag is not known. Find out who changed the Service. To switch without probing it, pass accept: ['previous-not-allowed']",
          },
        ];
    if (!mayAsk && !accept.has('previous-not-allowed')) throw this.#refusal(notAllowed);
    const objections = await this.#log.step('probe', async (step) => {
      const deadline = clock.now() + this.#settings.waitForPromotionMillis;
      for (;;) {
        const { results, objections: found } = await runProbes({
          target: { host: to, probes: targetProbes },
          previous: { host: from, probes: mayAsk ? previousProbes : [] },
          maxLagBytes,
          timeoutMillis,
          clock,
          signal: this.#signal,
        });
        this.#log.facts.probes = results;
        step.probes = results;
        step.detail = results.map(({ probe, host, detail }) => `${probe} of ${host}: ${detail}`).join('; ');
        const all = [...notAllowed, ...found];
        if (!mayBePromoted(all.filter(({ kind }) => !accept.has(kind))) || clock.now() >= deadline) return all;
        step.waiting(`waits until ${to} is promoted`);
        await sleep(promotionPollMillis, { signal: this.#signal, clock });
      }
    });
    if (objections.some(({ kind }) => kind === 'split-brain')) {
      splitBrainSeen.publish(() => ({ name: this.#log.facts.service, targets: [from, to] }));
    }
    const refused = objections.filter(({ kind }) => !accept.has(kind));
    this.#log.facts.accepted = objections.filter(({ kind }) => accept.has(kind));
    if (refused.length > 0) throw this.#refusal(refused);
  }

  #dryRun(reference: ServiceReference, service: ServiceToSwitch, record: SwitchRecord): Promise<void> {
    return this.#log.step('dry-run', async (step) => {
      try {
        await this.#sendPatch(reference, service, record, true);
      } catch (error) {
        this.#signal?.throwIfAborted();
        if (!mayBeGuard(error)) throw error;
        // A failed guard gives only a 422: the Service itself shows why.
        const now = await this.#get(reference).catch(() => undefined);
        if (now === undefined || now.resourceVersion === service.resourceVersion) throw error;
        this.#refuseOtherTarget(now, service);
        await this.#sendPatch(reference, now, record, true);
      }
      step.detail = 'the API server would accept it';
    });
  }

  /**
   * Sends the patch, and retries it if the answer is lost. The guard on the old name prevents a second switch, and our own record in
   * the Service shows whether the first one was applied.
   */
  #patch(reference: ServiceReference, service: ServiceToSwitch, record: SwitchRecord): Promise<void> {
    const { facts } = this.#log;
    return this.#log.step('patch', async (step) => {
      let current = service;
      let mayBeWritten = false;
      for (let attempt = 1; ; attempt += 1) {
        // Until the server refuses it, the patch may have been applied.
        facts.result = 'unknown';
        try {
          await this.#sendPatch(reference, current, record, false);
          break;
        } catch (error) {
          const isLost = error instanceof KubernetesUnavailableError;
          mayBeWritten ||= isLost && error.outcome === 'unknown';
          if (!mayBeWritten) facts.result = 'not-switched';
          this.#signal?.throwIfAborted();
          if (attempt >= mostPatches || !(isLost || mayBeGuard(error))) throw error;
          if (isLost) await sleep(lostPatchMillis * attempt, { signal: this.#signal, clock: this.#settings.clock });
          const now = await this.#get(reference).catch(() => undefined);
          if (now === undefined && isLost) continue;
          if (now === undefined) throw error;
          if (readSwitchRecord(now)?.id === record.id) break;
          this.#refuseOtherTarget(now, service);
          // The guard may have met a change that does not concern the switch. If nothing changed, the refusal was deliberate.
          if (!isLost && now.resourceVersion === current.resourceVersion) throw error;
          current = now;
        }
      }
      facts.result = 'switched';
      step.detail = `${record.previous} -> ${record.target}`;
    });
  }

  #refuseOtherTarget(now: ServiceToSwitch, before: ServiceToSwitch): void {
    if (now.uid === before.uid && now.target === before.target) return;
    this.#log.facts.result = 'not-switched';
    this.#log.facts.from = now.target;
    const who = readSwitchRecord(now)?.by;
    const message =
      `the Service was changed in the meantime and points to ${now.target ?? `nothing (type ${now.type})`}` +
      `${who === undefined ? '' : ` (last switch by ${printable(who, 100)})`}: check it, then try again`;
    throw this.#refusal([{ kind: 'unexpected-target', message }]);
  }

  async #sendPatch(
    reference: ServiceReference,
    service: ServiceToSwitch,
    record: SwitchRecord,
    dryRun: boolean,
  ): Promise<unknown> {
    this.#signal?.throwIfAborted();
    return this.#sendOperations(reference, switchPatch(service, record, reference.clusterDomain), dryRun);
  }

  #sendOperations(reference: ServiceReference, body: JsonPatchOperation[], dryRun: boolean): Promise<unknown> {
    return this.#api.json({
      attempt: attemptTo('patch', reference),
      path: servicePath(reference, reference.name),
      method: 'PATCH',
      contentType: patchContentTypes.json,
      query: { fieldManager, fieldValidation: 'Strict', ...(dryRun && { dryRun: 'All' }) },
      body,
      timeoutMillis: this.#settings.requestTimeoutMillis,
      // A patch that was sent is not given up: its answer says whether the Service was switched, and comes or is late within a deadline.
      signal: dryRun ? this.#signal : undefined,
    });
  }

  /** The user that the API server sees; if that is unknown, the user's name in the kubeconfig. */
  async #userName(): Promise<string> {
    try {
      const answer = await this.#api.json({
        attempt: { verb: 'create', group: 'authentication.k8s.io', resource: 'selfsubjectreviews' },
        path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
        method: 'POST',
        body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
        timeoutMillis: this.#settings.requestTimeoutMillis,
        signal: this.#signal,
      });
      const review = answer as { status?: { userInfo?: { username?: unknown } } };
      const name = review.status?.userInfo?.username;
      if (typeof name === 'string' && name !== '') return printable(name, 300);
    } catch {
      this.#signal?.throwIfAborted();
    }
    return printable((await this.#api.userName()) ?? 'unknown', 300);
  }

  /** The Service is switched by now, so an Event that cannot be written is a warning, not a failure. */
  #writeEvent(reference: ServiceReference, service: ServiceToSwitch, record: SwitchRecord): Promise<unknown> {
    return this.#log.step('event', async (step) => {
      try {
        await this.#api.json({
          attempt: { verb: 'create', group: '', resource: 'events', namespace: reference.namespace },
          path: `/api/v1/namespaces/${encodeURIComponent(reference.namespace)}/events`,
          method: 'POST',
          body: switchEvent(reference, service, record),
          timeoutMillis: this.#settings.requestTimeoutMillis,
          signal: this.#signal,
        });
        step.detail = 'TargetSwitched';
      } catch (error) {
        this.#signal?.throwIfAborted();
        this.#log.facts.warnings.push(`no Event was written: ${error instanceof Error ? error.message : error}`);
        step.skipped('see warnings');
      }
    });
  }

  /** Not every operator may watch, so a switch that was not seen here is only a warning. Every client has DNS. */
  #seeInWatch(watch: WatchPropagation): Promise<void> {
    return this.#log.step('watch', async (step) => {
      try {
        step.detail = `seen ${await watch.seen(this.#signal)} ms after the patch`;
      } catch (error) {
        this.#signal?.throwIfAborted();
        this.#log.facts.warnings.push(
          `the switch was not seen through a watch: ${error instanceof Error ? error.message : error}`,
        );
        step.skipped('see warnings');
      }
    });
  }

  async #seeInDns(reference: ServiceReference, to: string): Promise<void> {
    const { dnsServers, propagationTimeoutMillis: timeoutMillis, clock } = this.#settings;
    const servers = dnsServers === false ? [] : (dnsServers ?? (await podDns())?.nameservers ?? []);
    if (servers.length === 0) {
      return this.#log.skip(
        ['dns'],
        dnsServers === false ? 'not asked for' : 'not in a pod: name the servers in dnsServers',
      );
    }
    await this.#log.step('dns', async (step) => {
      const signal = this.#signal;
      const service = reference.fullName;
      const seen = await waitForPropagation({ service, to, dnsServers: servers, timeoutMillis, signal }, { clock });
      this.#log.facts.dns = seen;
      step.detail = seen.map(({ server, elapsedMillis }) => `${server} after ${elapsedMillis} ms`).join(', ');
    });
  }

  #refusal(objections: SwitchRefusedError['objections'] | readonly Objection[]): SwitchRefusedError {
    return new SwitchRefusedError(this.#log.report(), objections);
  }
}

/**
 * Whether time may mend it: the new target is a standby, and all else that is wrong comes with that, or with an old target that is not
 * fenced yet.
 */
function mayBePromoted(refused: readonly Objection[]): boolean {
  const passing: readonly ObjectionKind[] = ['not-writable', 'lag', 'older-timeline', 'split-brain'];
  return refused.some(({ kind }) => kind === 'not-writable') && refused.every(({ kind }) => passing.includes(kind));
}

const promotionPollMillis = 500;
const leftOut = 'left out, as `skip` says';

/** Whether the error may come from the `test` operations of the patch. */
function mayBeGuard(error: unknown): boolean {
  return error instanceof KubernetesRefusedError && (error.status === 422 || error.status === 409);
}

// The most times that a patch is sent. The pauses in between grow to 2 s.
const mostPatches = 5;
const lostPatchMillis = 500;
