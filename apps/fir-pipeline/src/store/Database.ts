/**
 * The store, in the database that the settings name.
 *
 * @module
 */
import { Effect, Layer, type Scope } from "effect"
import { Store, type StoreApi, type StoreError } from "../Store.ts"
import type * as Mysql from "./mysql.ts"
import * as Sqlite from "./sqlite.ts"

export type Options = ({ readonly kind: "sqlite" } & Sqlite.Options) | ({ readonly kind: "mysql" } & Mysql.Options)

/** Opens the database, and brings its tables to what this version needs. */
export const make = (options: Options): Effect.Effect<StoreApi, StoreError, Scope.Scope> =>
  options.kind === "sqlite"
    ? Sqlite.make(options)
    : // The driver is read only where it is asked for.
      Effect.flatMap(
        Effect.promise(() => import("./mysql.ts")),
        (Mysql) => Mysql.make(options)
      )

export const layer = (options: Options): Layer.Layer<StoreApi, StoreError> => Layer.effect(Store, make(options))
