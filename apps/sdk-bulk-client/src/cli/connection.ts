// What every command that talks to an API takes, and how a command ends.

import { Config, Data, Option, type Redacted } from "effect"
import { Flag } from "effect/cli"
import type { ClientOptions } from "../Options.ts"

/** A command that cannot be carried out. What it says is all that is printed. */
export class CommandError extends Data.TaggedError("CommandError")<{
  readonly message: string
  /** 1: it was carried out, and not all is well. 2: it was not. */
  readonly exitCode: 1 | 2
}> {}

/** A flag, else the environment variable, else nothing. */
const orEnvironment = <A>(flag: Flag.Flag<A>, variable: Config.Config<A>) =>
  flag.pipe(Flag.map(Option.some), Flag.withFallbackConfig(Config.option(variable)))

export const connection = {
  baseUrl: orEnvironment(
    Flag.String("base-url").pipe(Flag.withDescription("Where the API is; else T2E_BASE_URL")),
    Config.String("T2E_BASE_URL")
  ),
  accessToken: orEnvironment(
    Flag.Redacted("access-token").pipe(Flag.withDescription("Access token; else T2E_ACCESS_TOKEN")),
    Config.Redacted("T2E_ACCESS_TOKEN")
  ),
  apiKey: orEnvironment(
    Flag.Redacted("api-key").pipe(Flag.withDescription("API key instead of the token; else T2E_API_KEY")),
    Config.Redacted("T2E_API_KEY")
  ),
  workspaceName: orEnvironment(
    Flag.String("workspace-name").pipe(Flag.withDescription("workspaces/ and a name; else T2E_WORKSPACE_NAME")),
    Config.String("T2E_WORKSPACE_NAME")
  )
}

export const clientOptions = (flags: {
  readonly baseUrl: Option.Option<string>
  readonly accessToken: Option.Option<Redacted.Redacted>
  readonly apiKey: Option.Option<Redacted.Redacted>
  readonly workspaceName: Option.Option<string>
}): ClientOptions => ({
  baseUrl: Option.getOrElse(flags.baseUrl, () => ""),
  accessToken: Option.getOrUndefined(flags.accessToken),
  apiKey: Option.getOrUndefined(flags.apiKey),
  workspaceName: Option.getOrUndefined(flags.workspaceName)
})
