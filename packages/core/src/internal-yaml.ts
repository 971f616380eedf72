/**
 * The reader of YAML for the sibling packages, apart from `./internal` because few of them load it. Not for users: it changes without notice.
 *
 * @internal
 * @module
 */
export { readYaml, type YamlDocument } from './objects/index.ts';
