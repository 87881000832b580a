// The queues of a program. Effect keeps tasks of one priority in the order in
// which they came, so a dispatcher hands out its first; the free mode may take
// any.

import type * as Scheduler from "effect/Scheduler"

interface Task {
  readonly run: () => void
  readonly priority: number
}

export class Dispatcher implements Scheduler.SchedulerDispatcher {
  readonly tasks: Array<Task> = []
  private readonly onTask: (dispatcher: Dispatcher) => void

  constructor(onTask: (dispatcher: Dispatcher) => void) {
    this.onTask = onTask
  }

  scheduleTask(run: () => void, priority: number): void {
    let at = this.tasks.length
    while (at > 0 && (this.tasks[at - 1]?.priority ?? 0) > priority) at--
    this.tasks.splice(at, 0, { run, priority })
    if (this.tasks.length === 1) this.onTask(this)
  }

  // Whoever asks for a flush wants it now, which would take the choice away; the run goes on to the end in any case.
  flush(): void {}
}
