export { formatIssue, type Issue, type RefusalReason, refused, type Severity } from './issue.ts';
export { type FileIssues, githubAnnotations, type SarifLogOptions, sarifLog } from './reports.ts';
export { type Rule, type RuleCode, rules as validationRules } from './rules.ts';
export { serviceIssues, type ValidationOptions, validate } from './validate.ts';
