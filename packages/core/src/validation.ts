export {
  formatIssue,
  type Issue,
  type RefusalReason,
  type Rule,
  type RuleCode,
  refused,
  type Severity,
  serviceIssues,
  type ValidationOptions,
  validate,
  validationRules,
} from './validation/index.ts';
