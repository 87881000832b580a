/**
 * What the client offers for each kind of object that the API keeps.
 *
 * @module
 */
import type { Effect, Stream } from "effect"
import type * as Bulk from "./Bulk.ts"
import type { CallError, InvalidConfiguration, InvalidItems } from "./Errors.ts"
import type * as Models from "./Models.ts"

export interface ListOptions {
  /** Objects asked for at once. Default 100. */
  readonly pageSize?: number | undefined
  /** The most objects to give. Default: all. */
  readonly limit?: number | undefined
  /** Only those that are always shown to the model, or only those that are not. */
  readonly isAlwaysDisplayed?: boolean | undefined
  /** Only those that the API finds by this text. */
  readonly search?: string | undefined
}

export type ProjectCreate = typeof Models.ProjectCreate.Type
export type Project = typeof Models.Project.Type
export type ContextCreate = typeof Models.ContextCreate.Type
export type ContextObject = typeof Models.Context.Type
export type GoldenExampleCreate = typeof Models.GoldenExampleCreate.Type
export type GoldenExample = typeof Models.GoldenExample.Type
export type SchemaMetadataCreate = typeof Models.SchemaMetadataCreate.Type
export type SchemaMetadataCreated = typeof Models.SchemaMetadataCreated.Type
export type ConnectorCreate = typeof Models.ConnectorCreate.Type
export type Connector = typeof Models.Connector.Type
export type FeedbackCreate = typeof Models.FeedbackCreate.Type
export type Feedback = typeof Models.Feedback.Type
export type BulkDeleted = typeof Models.BulkDeleted.Type

/** Projects, which everything else belongs to. */
export interface Projects {
  list(options?: Omit<ListOptions, "isAlwaysDisplayed">): Stream.Stream<Project, CallError>
  get(id: string): Effect.Effect<Project, CallError>
  /** The first project of that name. */
  getByName(name: string): Effect.Effect<Project | undefined, CallError>
  create(input: ProjectCreate): Effect.Effect<Project, CallError | InvalidItems>
  update(id: string, change: Partial<ProjectCreate>): Effect.Effect<Project, CallError>
  delete(id: string): Effect.Effect<void, CallError>
  /** What the project keeps, kind by kind. */
  collections(id: string): Effect.Effect<ReadonlyArray<Models.Collection>, CallError>
  /** What it keeps of one kind, by the API's name of it. */
  collection(id: string, kind: string): Effect.Effect<Models.Collection, CallError>
}

/** Objects that belong to a project. */
export interface Resource<Create, Created extends object, Item> {
  /** Every object, page by page as they are asked for. */
  list(projectId: string, options?: ListOptions): Stream.Stream<Item, CallError>
  get(projectId: string, id: string): Effect.Effect<Item, CallError>
  create(projectId: string, input: Create): Effect.Effect<Created, CallError | InvalidItems>
  update(projectId: string, id: string, change: Partial<Create>): Effect.Effect<Item, CallError>
  delete(projectId: string, id: string): Effect.Effect<void, CallError>
  /** Creates all and accounts for each. See `Bulk`. */
  bulkCreate(
    projectId: string,
    items: ReadonlyArray<Create>,
    options?: Bulk.BulkOptions
  ): Effect.Effect<Bulk.BulkReport<Created>, InvalidItems | InvalidConfiguration>
  /** The same for input that comes as it goes, in memory that does not grow with it. */
  bulkCreateStream(
    projectId: string,
    items: Iterable<Create> | AsyncIterable<Create>,
    options?: Bulk.BulkOptions
  ): Stream.Stream<Bulk.ItemResult<Created>, Bulk.StreamError>
  /** As `bulkCreateStream`, with how far the operation has come beside each result. */
  bulkCreateProgress(
    projectId: string,
    items: Iterable<Create> | AsyncIterable<Create>,
    options?: Bulk.BulkOptions
  ): Stream.Stream<Bulk.Progress & { readonly result: Bulk.ItemResult<Created> }, Bulk.StreamError>
  /** Deletes what a bulk operation created, and not what it found created. */
  undo(projectId: string, report: Bulk.BulkReport<Created>): Effect.Effect<Bulk.Undone>
  bulkDelete(projectId: string, ids: ReadonlyArray<string>): Effect.Effect<BulkDeleted, CallError>
}

/** Objects that have a name. */
export interface NamedResource<Create, Created extends object, Item> extends Resource<Create, Created, Item> {
  /** The first object of that name. Reads the list until it comes. */
  getByName(projectId: string, name: string): Effect.Effect<Item | undefined, CallError>
}

export interface SchemaMetadata
  extends NamedResource<SchemaMetadataCreate, SchemaMetadataCreated, Models.SchemaMetadata> {
  /** Every part of a table that the API cut, in order. */
  splitGroup(projectId: string, groupId: string): Effect.Effect<typeof Models.SplitGroup.Type, CallError>
  /** The schemas of one kind. */
  listByKind(projectId: string, kind: Models.SchemaKind): Stream.Stream<Models.SchemaMetadata, CallError>
}

export interface Connectors extends NamedResource<ConnectorCreate, Connector, Connector> {
  /** Whether the database answers, and how fast. */
  test(projectId: string, id: string): Effect.Effect<typeof Models.ConnectorTest.Type, CallError>
}

export interface ChatSessions {
  list(projectId: string, options?: ListOptions): Stream.Stream<Models.ChatSession, CallError>
  create(
    projectId: string,
    input?: typeof Models.ChatSessionCreate.Type
  ): Effect.Effect<Models.ChatSession, CallError | InvalidItems>
  delete(projectId: string, id: string): Effect.Effect<void, CallError>
  /** What was asked in the session, with its answers, in order. */
  questions(projectId: string, id: string): Effect.Effect<ReadonlyArray<Models.ChatAnswer>, CallError>
}

export interface Chat {
  /** Turns a question into SQL. */
  toSql(
    projectId: string,
    sessionId: string,
    request: typeof Models.ChatRequest.Type
  ): Effect.Effect<Models.ChatAnswer, CallError | InvalidItems>
  /** The same, and executes it. */
  toAnswer(
    projectId: string,
    sessionId: string,
    request: typeof Models.ChatRequest.Type
  ): Effect.Effect<Models.ChatAnswer, CallError | InvalidItems>
}

export interface Executions {
  /** Executes SQL on a connector: that of a chat message, or one's own. */
  execute(
    projectId: string,
    request: typeof Models.ExecuteRequest.Type
  ): Effect.Effect<Models.Execution, CallError | InvalidItems>
  list(projectId: string, options?: ListOptions): Stream.Stream<Models.Execution, CallError>
  get(projectId: string, id: string): Effect.Effect<Models.Execution, CallError>
}
