import { ExternalNameError, type ExternalNameErrorOptions } from '@externalname/core';

/**
 * The Service is of another type, or has no `externalName`, so it does not have a target to follow or to switch.
 * Code `ERR_EXTERNALNAME_NOT_EXTERNAL_NAME`.
 */
export class NotExternalNameError extends ExternalNameError {
  /** It did not happen, so a retry is safe. */
  override readonly outcome = 'not-executed';
  /** `<namespace>/<name>` */
  readonly service: string;
  /** Its type: `ClusterIP`, ... */
  readonly type: string;

  constructor(service: { name: string; namespace: string }, type: string, options?: ExternalNameErrorOptions) {
    super(
      'ERR_EXTERNALNAME_NOT_EXTERNAL_NAME',
      `Service ${service.namespace}/${service.name} is of type ${type}${type === 'ExternalName' ? ' without a name' : ''}: ` +
        'set spec.type to ExternalName and spec.externalName to the host that it stands for',
      options,
    );
    this.service = `${service.namespace}/${service.name}`;
    this.type = type;
  }
}
