/**
 * The store, in the database that the settings name.
 *
 * @module
 */
import { type Effect, Layer, type Scope } from "effect"
import { Store, type StoreApi, type StoreError } from "../Store.ts"
import * as Mysql from "./mysql.ts"
import * as Sqlite from "./sqlite.ts"

export type Options = ({ readonly kind: "sqlite" } & Sqlite.Options) | ({ readonly kind: "mysql" } & Mysql.Options)

/** Opens the database, and brings its tables to what this version needs. */
export const make = (options: Options): Effect.Effect<StoreApi, StoreError, Scope.Scope> =>
  options.kind === "sqlite" ? Sqlite.make(options) : Mysql.make(options)

export const layer = (options: Options): Layer.Layer<StoreApi, StoreError> => Layer.effect(Store, make(options))
