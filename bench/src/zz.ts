import { createSemaphore } from "@sluice/promise"
import { PermitQueue } from "@sluice/semaphore/queues"
import { Sema } from "async-sema"
import pLimit from "p-limit"

const giveWay = async () => {
  await null
}
const tasks = 1000
const rounds = async (task: () => Promise<unknown>, times: number) => {
  await Promise.all(
    Array.from({ length: tasks }, async () => {
      for (let i = 0; i < times; i++) await task()
    })
  )
}
class W {
  permits = 1
  state: any = "waiting"
  rank = 0
  previous: any = undefined
  next: any = undefined
  q: any
  f: any
  res: any
  rej: any
  constructor(q: any, f: any, res: any, rej: any) {
    this.q = q
    this.f = f
    this.res = res
    this.rej = rej
  }
  settled() {
    queueMicrotask(() => this.start())
  }
  start() {
    try {
      const r = this.f()
      r.then(
        (v: any) => {
          this.q.release(1)
          this.res(v)
        },
        (e: any) => {
          this.q.release(1)
          this.rej(e)
        }
      )
    } catch (e) {
      this.q.release(1)
      this.rej(e)
    }
  }
}
const q2 = new PermitQueue<any>(10)
const run2 = (f: any) =>
  new Promise((res, rej) => {
    const w = new W(q2, f, res, rej)
    if (q2.isFree(1)) {
      q2.take(1)
      w.start()
    } else q2.join(w as any)
  })
let ready: any[] = []
const drain = () => {
  const r = ready
  ready = []
  for (const w of r) w.start()
}
class W3 extends W {
  settled() {
    if (ready.push(this) === 1) queueMicrotask(drain)
  }
}
const q3 = new PermitQueue<any>(10)
const run3 = (f: any) =>
  new Promise((res, rej) => {
    const w = new W3(q3, f, res, rej)
    if (q3.isFree(1)) {
      q3.take(1)
      w.start()
    } else q3.join(w as any)
  })
class W4 extends W {
  settled() {
    if (ready.push(this) === 1) queueMicrotask(drain)
  }
  async start() {
    let v
    try {
      v = await this.f()
    } catch (e) {
      this.q.release(1)
      this.rej(e)
      return
    }
    this.q.release(1)
    this.res(v)
  }
}
const q4 = new PermitQueue<any>(10)
const run4 = (f: any) =>
  new Promise((res, rej) => {
    const w = new W4(q4, f, res, rej)
    if (q4.isFree(1)) {
      q4.take(1)
      w.start()
    } else q4.join(w as any)
  })
class W5 extends W {
  settled() {
    if (ready.push(this) === 1) queueMicrotask(drain)
  }
  start() {
    let r
    try {
      r = this.f()
    } catch (e) {
      this.q.release(1)
      this.rej(e)
      return
    }
    this.res(r)
    r.then(
      () => this.q.release(1),
      () => this.q.release(1)
    )
  }
}
const q5 = new PermitQueue<any>(10)
const run5 = (f: any) =>
  new Promise((res, rej) => {
    const w = new W5(q5, f, res, rej)
    if (q5.isFree(1)) {
      q5.take(1)
      w.start()
    } else q5.join(w as any)
  })

let lr: any, lj: any
const ex = (res: any, rej: any) => {
  lr = res
  lj = rej
}
class L {
  permits = 1
  state: any = "waiting"
  rank = 0
  previous: any = undefined
  next: any = undefined
  resolve: any
  reject: any
  gate: any
  constructor(gate: any, permits: number, resolve: any, reject: any) {
    this.gate = gate
    this.permits = permits
    this.resolve = resolve
    this.reject = reject
  }
  settled() {
    if (this.state === "admitted") this.resolve()
    else this.reject(this.gate.refusal())
  }
}
const done = Promise.resolve()
const enterL = (gate: any, n: number) => {
  gate.check(n)
  if (gate.refusal !== undefined) throw gate.refusal()
  if (gate.isFree(n)) {
    gate.take(n)
    return undefined
  }
  const p = new Promise<void>(ex)
  gate.join(new L(gate, n, lr, lj))
  return p
}
const q6 = new PermitQueue<any>(10)
const take6 = () => enterL(q6, 1) ?? done
const run6 = async (f: any) => {
  const e = enterL(q6, 1)
  if (e !== undefined) await e
  try {
    return await f()
  } finally {
    q6.release(1)
  }
}
class R extends L {
  f: any
  constructor(gate: any, f: any, a: any, b: any) {
    super(gate, 1, a, b)
    this.f = f
  }
  settled() {
    if (this.state === "admitted") {
      if (ready.push(this) === 1) queueMicrotask(drain)
    } else this.reject(this.gate.refusal())
  }
  start() {
    let r
    try {
      r = this.f()
    } catch (e) {
      this.gate.release(1)
      this.reject(e)
      return
    }
    r.then(
      (v: any) => {
        this.gate.release(1)
        this.resolve(v)
      },
      (e: any) => {
        this.gate.release(1)
        this.reject(e)
      }
    )
  }
}
const run7 = (f: any) => {
  const p = new Promise(ex)
  const w = new R(q6, f, lr, lj)
  if (q6.isFree(1)) {
    q6.take(1)
    w.start()
  } else q6.join(w as any)
  return p
}
const s = createSemaphore(10),
  sema = new Sema(10),
  lim = pLimit(10)
const looped: Record<string, (n: number) => Promise<unknown>> = {
  pairL: async (n) => {
    for (let i = 0; i < n; i++) {
      await s.take()
      await null
      s.release()
    }
  },
  pair6L: async (n) => {
    for (let i = 0; i < n; i++) {
      await take6()
      await null
      q6.giveBack(1)
    }
  },
  run6L: async (n) => {
    for (let i = 0; i < n; i++) await run6(giveWay)
  },
  run7L: async (n) => {
    for (let i = 0; i < n; i++) await run7(giveWay)
  },
  runL: async (n) => {
    for (let i = 0; i < n; i++) await s.run(giveWay)
  },
  plimitL: async (n) => {
    for (let i = 0; i < n; i++) await lim(giveWay)
  },
  semaL: async (n) => {
    for (let i = 0; i < n; i++) {
      await sema.acquire()
      await null
      sema.release()
    }
  },
  floorL: async (n) => {
    for (let i = 0; i < n; i++) {
      await null
    }
  }
}
const variants: Record<string, () => Promise<unknown>> = {
  pair6: async () => {
    await take6()
    await null
    q6.giveBack(1)
  },
  run6: () => run6(giveWay),
  run7: () => run7(giveWay),
  floor: () => giveWay(),
  run: () => s.run(giveWay),
  run2: () => run2(giveWay),
  run3: () => run3(giveWay),
  run4: () => run4(giveWay),
  run5: () => run5(giveWay),
  pair: async () => {
    await s.take()
    await null
    s.release()
  },
  using: async () => {
    using _p = await s.acquire()
    await null
  },
  sema: async () => {
    await sema.acquire()
    await null
    sema.release()
  },
  semaf: async () => {
    await sema.acquire()
    try {
      await giveWay()
    } finally {
      sema.release()
    }
  },
  plimit: () => lim(giveWay)
}
for (const f of Object.values(variants)) await rounds(f, 100)
const loopRound = (f: any) => Promise.all(Array.from({ length: tasks }, () => f(100)))
const out: Record<string, number[]> = {}
for (let r = 0; r < 9; r++)
  for (const [k, f] of Object.entries(variants)) {
    const t = process.hrtime.bigint()
    await rounds(f, 100)
    ;(out[k] ??= []).push(Number(process.hrtime.bigint() - t) / 1e5)
  }
for (let r = 0; r < 9; r++)
  for (const [k, f] of Object.entries(looped)) {
    const t = process.hrtime.bigint()
    await loopRound(f)
    ;(out[k] ??= []).push(Number(process.hrtime.bigint() - t) / 1e5)
  }
for (const [k, v] of Object.entries(out)) console.log(k.padEnd(8), v.toSorted((a, b) => a - b)[4]?.toFixed(0))
