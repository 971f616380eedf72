/**
 * The requests that LocalCluster answers differently on purpose, by verb and title: why, and the parts of the answer that differ.
 * The test fails if one of these answers becomes the same, or differs in another part.
 */
export const knownDifferences: Readonly<Record<string, KnownDifference>> = {
  'list a continue token that was never issued': text('a parser of another language describes the mistake'),
  'create a list instead of an object': text('the message names a type of the Go source'),
  'create a text instead of an object': text('the message names a type of the Go source'),
  'create JSON that ends too early': text('a parser of another language describes the mistake'),
  'create JSON with a trailing comma': text('a parser of another language describes the mistake'),
  'create text that is not JSON': text('a parser of another language describes the mistake'),
  'create YAML that cannot be read': text('a parser of another language describes the mistake'),
  'apply YAML that cannot be read': text('a parser of another language describes the mistake'),
  'delete a Service with a body that is not JSON': text('a parser of another language describes the mistake'),
  'create an empty object': {
    why: 'the real one allocates an address before it looks for a name, and complains of the address',
    differ: [
      'body.message',
      'body.details.causes.0.reason',
      'body.details.causes.0.message',
      'body.details.causes.0.field',
    ],
  },
  'create null': {
    why: 'the real one takes null for an empty object, and complains of its address',
    differ: ['status', 'body.message', 'body.reason', 'body.details', 'body.code'],
  },
  'create a review of one’s own access': {
    why: 'a review is not stored, so LocalCluster keeps no field managers for it',
    differ: ['body.metadata.managedFields'],
  },
  'update the status of a Service that is not there': {
    why: 'the real one creates the Service, without field managers; no client relies on that',
    differ: ['status', 'body'],
  },
  'apply the same value as another manager': {
    why: 'the real one forgets the time of the second manager, and sorts it first for that',
    differ: [
      'body.metadata.managedFields.0.manager',
      'body.metadata.managedFields.0.time',
      'body.metadata.managedFields.1.manager',
    ],
  },
  'apply a wrong type': {
    why: 'LocalCluster refuses a wrong type in an apply as in any other write, with 400',
    differ: ['status', 'body.message', 'body.code', 'body.reason'],
  },
  'delete a Service in the foreground': {
    why: 'LocalCluster has no garbage collector, which would remove the finalizer',
    differ: ['body.metadata.deletionTimestamp', 'body.metadata.deletionGracePeriodSeconds', 'body.metadata.finalizers'],
  },
  'delete a Service and orphan its dependents': {
    why: 'LocalCluster has no garbage collector, which would remove the finalizer',
    differ: ['body.metadata.deletionTimestamp', 'body.metadata.deletionGracePeriodSeconds', 'body.metadata.finalizers'],
  },
  'answer to a user who is impersonated by an account without rights': {
    why: 'LocalCluster has no constrained impersonation, whose verbs the real one names',
    differ: ['body.message', 'body.details.name', 'body.details.kind'],
  },
};

interface KnownDifference {
  readonly why: string;
  readonly differ: readonly string[];
}

function text(why: string): KnownDifference {
  return { why, differ: ['body.message'] };
}
