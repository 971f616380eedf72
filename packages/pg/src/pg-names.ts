// The names of `pg` that are not ours, so that an application swaps its import and nothing else.
//
// Taken from the namespace, and not passed on by `export … from`: from a `pg` that is too old such an import fails while modules
// are linked, with an error of the loader and before ours can be said.
import * as pg from 'pg';

export type {
  BindConfig,
  ClientBase,
  ClientConfig,
  ConnectionConfig,
  CustomTypesConfig,
  Defaults,
  Events,
  ExecuteConfig,
  FieldDef,
  MessageConfig,
  Notification,
  PoolClient,
  PoolConfig,
  QueryArrayConfig,
  QueryArrayResult,
  QueryConfig,
  QueryConfigValues,
  QueryParse,
  QueryResult,
  QueryResultBase,
  QueryResultRow,
  ResultBuilder,
  Submittable,
  TransactionStatus,
} from 'pg';

// biome-ignore-start lint/suspicious/noExplicitAny: the type parameters are those of pg's types, so that code typed for them compiles unchanged

/** As in `pg`. */
export const Connection = pg.Connection;
/** As in `pg`. */
export type Connection = pg.Connection;

/** As in `pg`: what an error of the server is an instance of. */
export const DatabaseError = pg.DatabaseError;
/** As in `pg`: an error of the server. */
export type DatabaseError = pg.DatabaseError;

/** As in `pg`. */
export const Query = pg.Query;
/** As in `pg`. */
export type Query<R extends pg.QueryResultRow = any, I extends any[] = any> = pg.Query<R, I>;

/** As in `pg`. */
export const Result = pg.Result;
/** As in `pg`. */
export type Result<R extends pg.QueryResultRow = any> = pg.Result<R>;

/** As in `pg`. */
export const TypeOverrides = pg.TypeOverrides;
/** As in `pg`. */
export type TypeOverrides = pg.TypeOverrides;

// biome-ignore-end lint/suspicious/noExplicitAny: as above

/** As in `pg`: one object for the whole process, `pg`'s own. */
export const defaults: typeof pg.defaults = pg.defaults;

/** As in `pg`. */
export const escapeIdentifier = pg.escapeIdentifier;

/** As in `pg`. */
export const escapeLiteral = pg.escapeLiteral;

/** As in `pg`: the parsers of types, one table for the whole process. */
export const types: typeof pg.types = pg.types;

/** As in `pg` where pg-native is not installed: ours is built on the client in JavaScript. */
export const native: null = null;
