// The system's tesseract, where it is installed: one process an image, which is
// killed when its time is over.
import { spawn } from "node:child_process"
import { Data, Effect } from "effect"
import type { Upload } from "../Uploads.ts"

/** There is no tesseract, or it could not read the image. */
export class TesseractFailed extends Data.TaggedError("TesseractFailed")<{ readonly message: string }> {}

const DAMAGED = /pix|read image|image file|during processing/i

const run = (argumentList: ReadonlyArray<string>, input?: Uint8Array) =>
  Effect.callback<string, TesseractFailed>((resume) => {
    const child = spawn("tesseract", argumentList, {
      stdio: ["pipe", "pipe", "pipe"],
      // One image is one permit, and so one thread.
      env: { ...process.env, OMP_THREAD_LIMIT: "1" }
    })
    const output: Array<Buffer> = []
    const complaints: Array<Buffer> = []
    child.stdout.on("data", (chunk: Buffer) => output.push(chunk))
    child.stderr.on("data", (chunk: Buffer) => complaints.push(chunk))
    child.once("error", ({ message }) => resume(Effect.fail(new TesseractFailed({ message }))))
    child.once("close", (code) =>
      resume(
        code === 0
          ? Effect.succeed(Buffer.concat(output).toString("utf8"))
          : Effect.fail(
              new TesseractFailed({
                message: Buffer.concat(complaints).toString("utf8").trim() || `tesseract ended with ${code}`
              })
            )
      )
    )
    // What it does not read to the end is told by its exit, not by the pipe.
    child.stdin.on("error", () => {})
    child.stdin.end(input)
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

/** The languages that the installed tesseract reads. */
export const languages: Effect.Effect<ReadonlyArray<string>, TesseractFailed> = Effect.map(
  run(["--list-langs"]),
  (text) =>
    text
      .split("\n")
      .slice(1)
      .map((line) => line.trim())
      .filter((line) => line !== "" && line !== "osd")
)

/** What is written in an image, in those of the wanted languages that are installed. */
export const read = ({ bytes }: Upload, wanted: ReadonlyArray<string>): Effect.Effect<string, TesseractFailed> =>
  Effect.gen(function* () {
    const installed = yield* languages
    const known = wanted.filter((language) => installed.includes(language))
    if (known.length === 0) {
      return yield* new TesseractFailed({
        message: `none of ${wanted.join(", ")} is installed, but ${installed.join(", ")}`
      })
    }
    const text = yield* run(["stdin", "stdout", "-l", known.join("+"), "--psm", "6"], bytes).pipe(
      // An image that is damaged has no text; that says nothing of tesseract.
      Effect.catchIf(
        ({ message }) => DAMAGED.test(message),
        () => Effect.succeed("")
      )
    )
    return text.replace(/\f/g, "").trim()
  })
