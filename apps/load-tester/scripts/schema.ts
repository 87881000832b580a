// Writes result.schema.json: node apps/load-tester/scripts/schema.ts && biome check --write apps/load-tester/result.schema.json

import { writeFileSync } from "node:fs"
import { schema } from "../src/output/Json.ts"

writeFileSync(new URL("../result.schema.json", import.meta.url), `${JSON.stringify(schema(), null, 2)}\n`)
