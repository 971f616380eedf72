import type { Attempt, Authorizer, GrantedRule } from './authorization.ts';
import { isJsonObject, type JsonObject, type KubernetesObject, textOf } from './object.ts';
import { resourceOf } from './resources.ts';
import { badRequest, invalid, invalidValue } from './status.ts';
import type { User } from './users.ts';

/** Answers a SelfSubjectAccessReview: may I do this? `kubectl auth can-i` asks it. */
export function reviewAccess(review: KubernetesObject, user: User, authorizer: Authorizer): KubernetesObject {
  const spec = isJsonObject(review['spec']) ? review['spec'] : {};
  const resource = spec['resourceAttributes'];
  const path = spec['nonResourceAttributes'];
  if (isJsonObject(resource) === isJsonObject(path)) {
    const why = 'exactly one of nonResourceAttributes or resourceAttributes must be specified';
    const type = { ...resourceOf('SelfSubjectAccessReview', 'authorization.k8s.io'), kind: '' };
    throw invalid(type, '', [invalidValue('spec', 'null', why)]);
  }
  const attempt = isJsonObject(resource) ? resourceAttempt(resource) : pathAttempt(path as JsonObject);
  const allowed = authorizer.allows(user, attempt);
  return { ...review, status: { allowed } };
}

/** Answers a SelfSubjectRulesReview: what may I do in this namespace? `kubectl auth can-i --list` asks it. */
export function reviewRules(review: KubernetesObject, user: User, authorizer: Authorizer): KubernetesObject {
  const spec = isJsonObject(review['spec']) ? review['spec'] : {};
  const namespace = textOf(spec['namespace']);
  if (namespace === '') throw badRequest('no namespace on request');
  const rules = authorizer.rulesFor(user, namespace);
  return {
    ...review,
    spec: {},
    status: {
      resourceRules: rules.filter((rule) => rule.resources.length > 0).map(resourceRule),
      nonResourceRules: rules
        .filter((rule) => rule.nonResourceURLs.length > 0)
        .map((rule) => ({ verbs: rule.verbs, nonResourceURLs: rule.nonResourceURLs })),
      incomplete: false,
    },
  };
}

function resourceRule(rule: GrantedRule): object {
  return {
    verbs: rule.verbs,
    apiGroups: rule.apiGroups,
    resources: rule.resources,
    ...(rule.resourceNames.length === 0 ? {} : { resourceNames: rule.resourceNames }),
  };
}

function resourceAttempt(attributes: JsonObject): Attempt {
  const subresource = textOf(attributes['subresource']);
  return {
    verb: textOf(attributes['verb']),
    group: textOf(attributes['group']),
    resource: subresource === '' ? textOf(attributes['resource']) : `${textOf(attributes['resource'])}/${subresource}`,
    namespace: textOf(attributes['namespace']),
    name: textOf(attributes['name']),
  };
}

function pathAttempt(attributes: JsonObject): Attempt {
  return { verb: textOf(attributes['verb']), path: textOf(attributes['path']) };
}
