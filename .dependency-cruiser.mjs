// Who may import whom. docs/architecture.md tells why.

const leaves = "semaphore|rate-limiter|retry|metrics|schedule-explorer"
const composites = "http-pool|grpc-pool|redis|server"

/** @type {import("dependency-cruiser").IConfiguration} */
export default {
  forbidden: [
    {
      name: "no-circles",
      comment: "a circle is one at run time: a mechanism may name the types of the contract that it serves",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } }
    },
    {
      name: "leaves-import-effect-alone",
      comment:
        "semaphore, rate-limiter, retry, metrics and schedule-explorer stand on effect and on nothing else of ours",
      severity: "error",
      from: { path: `^packages/(${leaves})/src/` },
      to: { path: "^packages/([^/]+)/", pathNot: "^packages/$1/" }
    },
    {
      name: "composites-import-leaves-alone",
      severity: "error",
      from: { path: `^packages/(${composites})/src/` },
      to: {
        path: "^packages/",
        pathNot: ["^packages/$1/", "^packages/(semaphore|rate-limiter|retry|metrics)/src/(index|entry/[^/]+)\\.ts$"]
      }
    },
    {
      name: "promise-imports-leaves-and-http-pool",
      severity: "error",
      from: { path: "^packages/promise/src/" },
      to: {
        path: "^packages/",
        pathNot: [
          "^packages/promise/",
          "^packages/(semaphore|rate-limiter|retry|metrics)/src/(index|entry/[^/]+)\\.ts$",
          "^packages/http-pool/src/(index|fetch)\\.ts$"
        ]
      }
    },
    {
      name: "packages-import-no-app",
      severity: "error",
      from: { path: "^packages/" },
      to: { path: "^(apps|bench|test|scripts)/" }
    },
    {
      name: "no-app-imports-another",
      severity: "error",
      from: { path: "^apps/([^/]+)/" },
      to: { path: "^(apps|bench|test)/", pathNot: "^apps/$1/" }
    },
    {
      name: "public-exports-only",
      comment: "outside its package, a package is its index, and the entries of its subpaths",
      severity: "error",
      from: { path: "^(packages|apps|bench|test)/([^/]+)/" },
      to: { path: "^packages/[^/]+/", pathNot: ["^packages/[^/]+/src/(index|entry/[^/]+)\\.ts$", "^$1/$2/"] }
    },
    {
      name: "internal-stays-inside",
      severity: "error",
      from: { pathNot: "^(packages|apps)/([^/]+)/(src|test)/" },
      to: { path: "^(packages|apps)/[^/]+/src/internal/" }
    },
    {
      name: "bench-is-never-imported",
      severity: "error",
      from: { pathNot: "^bench/" },
      to: { path: "^bench/" }
    },
    {
      name: "resolvable",
      severity: "error",
      from: {},
      to: { couldNotResolve: true }
    },
    {
      name: "declared",
      comment: "what is imported stands in the package's own manifest",
      severity: "error",
      from: {},
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown"] }
    }
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(^|/)(dist|\\.generated|\\.reports)/" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "types", "node", "default"],
      extensions: [".ts", ".js", ".mjs", ".json"]
    }
  }
}
