import { Pool } from '@externalname/pg';
import { Controller, Get, Inject, ServiceUnavailableException } from '@nestjs/common';

@Controller()
export class HealthController {
  readonly #pool: Pool;

  constructor(@Inject(Pool) pool: Pool) {
    this.#pool = pool;
  }

  // The process runs. It says nothing about the database: restarting pods in an outage does not help.
  @Get('healthz')
  alive() {
    return { status: 'alive' };
  }

  // A verified connection to an allowed target in the wanted role has answered within the last second.
  @Get('readyz')
  async ready() {
    // Less than the timeoutSeconds of the probe.
    await this.#pool.ready({ signal: AbortSignal.timeout(800) }).catch((error: Error) => {
      throw new ServiceUnavailableException({ ready: false, reason: error.message });
    });
    return { ready: true, target: this.#pool.status().target?.externalName };
  }
}
