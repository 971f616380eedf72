// The names of `pg` that are not ours, so that swapping the import is all that an application needs to do.
//
// Taken from the namespace instead of `export … from`: with a `pg` that is too old, such an import fails while modules
// are linked, with an error of the loader, before ours can be thrown.
import * as pg from 'pg';

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

// Each type by its own name instead of `export type … from`: bundlers of declarations would take them for values.

/** As in `pg`. */
export type BindConfig = pg.BindConfig;
/** As in `pg`. */
export type ClientBase = pg.ClientBase;
/** As in `pg`. */
export type ClientConfig = pg.ClientConfig;
/** As in `pg`. */
export type ConnectionConfig = pg.ConnectionConfig;
/** As in `pg`. */
export type CustomTypesConfig = pg.CustomTypesConfig;
/** As in `pg`. */
export type Defaults = pg.Defaults;
/** As in `pg`. */
export type Events = pg.Events;
/** As in `pg`. */
export type ExecuteConfig = pg.ExecuteConfig;
/** As in `pg`. */
export type FieldDef = pg.FieldDef;
/** As in `pg`. */
export type MessageConfig = pg.MessageConfig;
/** As in `pg`. */
export type Notification = pg.Notification;
/** As in `pg`. */
export type PoolClient = pg.PoolClient;
/** As in `pg`. */
export type PoolConfig = pg.PoolConfig;
/** As in `pg`. */
export type QueryArrayConfig<I = any[]> = pg.QueryArrayConfig<I>;
/** As in `pg`. */
export type QueryArrayResult<R extends any[] = any[]> = pg.QueryArrayResult<R>;
/** As in `pg`. */
export type QueryConfig<I = any[]> = pg.QueryConfig<I>;
/** As in `pg`. */
export type QueryConfigValues<T> = pg.QueryConfigValues<T>;
/** As in `pg`. */
export type QueryParse = pg.QueryParse;
/** As in `pg`. */
export type QueryResult<R extends pg.QueryResultRow = any> = pg.QueryResult<R>;
/** As in `pg`. */
export type QueryResultBase = pg.QueryResultBase;
/** As in `pg`. */
export type QueryResultRow = pg.QueryResultRow;
/** As in `pg`. */
export type ResultBuilder<R extends pg.QueryResultRow = any> = pg.ResultBuilder<R>;
/** As in `pg`. */
export type Submittable = pg.Submittable;
/** As in `pg`. */
export type TransactionStatus = pg.TransactionStatus;

// biome-ignore-end lint/suspicious/noExplicitAny: as above

/** As in `pg`: one object for the whole process, `pg`'s own. */
export const defaults: typeof pg.defaults = pg.defaults;

/** As in `pg`. */
export const escapeIdentifier = pg.escapeIdentifier;

/** As in `pg`. */
export const escapeLiteral = pg.escapeLiteral;

/** As in `pg`: the parsers of types, one table for the whole process. */
export const types: typeof pg.types = pg.types;

/** As in `pg` without pg-native: ours is built on the JavaScript client. */
export const native: null = null;
