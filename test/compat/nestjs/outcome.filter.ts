import { isExternalNameError } from '@externalname/core';
import { type ArgumentsHost, Catch, ServiceUnavailableException } from '@nestjs/common';
import { BaseExceptionFilter } from '@nestjs/core';

// What certainly did not run may be sent again by the client: 503. All else stays a 500.
@Catch()
export class OutcomeFilter extends BaseExceptionFilter {
  override catch(error: unknown, host: ArgumentsHost): void {
    const mayRepeat = isExternalNameError(error) && error.outcome === 'not-executed';
    super.catch(mayRepeat ? new ServiceUnavailableException('nothing was done: send it again') : error, host);
  }
}
