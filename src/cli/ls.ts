import type { ListedTask, TaskQueue } from '../index.js'
import { numberOption, textOption } from './option-values.js'
import { jsonPrinter, printable, printLine, shortened } from './printing.js'
import { defineCommand, queueArgument, queueUrl, requireQueue, withQueue } from './queue-arguments.js'
import { type Holders, readHolders, stateText, timesOf } from './task-state.js'

/** `ptq ls` */
export const lsCommand = defineCommand({
  command: 'ls <queue>',
  describe: 'List tasks, without leasing them: id, state, name and payload, with tabs between',
  builder: yargs =>
    queueArgument(yargs)
      .option('state', {
        choices: ['ready', 'leased', 'delayed', 'failed'] as const,
        requiresArg: true,
        describe: 'Only these; failed: the dead letters',
      })
      .option('limit', numberOption('--limit', 'At most so many', { integer: true, min: 1 }))
      .option('dead-letter', textOption('--dead-letter', "The queue of the dead letters (default: the queue's own)"))
      .option('json', { type: 'boolean', describe: 'Print a line of JSON for each' })
      .example('$0 ls ./queue --state leased --limit 20', '')
      .example('# Insert them again elsewhere\n$0 ls ./queue --json | ptq insert ./other -', ''),
  handler: args =>
    withQueue(
      args.queue,
      args,
      async queue => {
        await requireQueue(queue)
        const holders = await readHolders(queue)
        const print = args.json ? jsonLine(await jsonPrinter(), holders) : textLine(holders)
        let left = args.limit ?? Number.POSITIVE_INFINITY
        for await (const { task, state } of tasksOf(queue, args.state, args.deadLetter)) {
          await print(task, state)
          if (--left === 0) break
        }
      },
      { notOnSqs: "can't list its tasks: SQS shows them by leasing only" },
    ),
})

async function* tasksOf(queue: TaskQueue, state: string | undefined, deadLetter: string | undefined) {
  if (state === 'failed') {
    const options = deadLetter === undefined ? {} : { deadLetter: queueUrl(deadLetter) }
    for await (const task of queue.failures(options)) yield { task, state }
    return
  }
  for await (const task of queue.tasks()) {
    if (state === undefined || task.state === state) yield { task, state: task.state }
  }
}

function jsonLine(print: (value: unknown) => Promise<void>, holders: Holders) {
  return (task: ListedTask, state: string) => {
    const { id, failures } = task
    return print({
      id,
      state,
      ...timesOf(task, holders),
      payload: task.payload(),
      ...(failures.length > 0 && { failures }),
    })
  }
}

function textLine(holders: Holders) {
  return (task: ListedTask, state: string): Promise<void> => {
    const parts = [task.id, stateText(task, state, holders), printable(task.name), printable(task.payloadText)]
    const line = parts.join('\t')
    // A tab takes up to eight places; a line that is cut is for people, who have a terminal.
    const { isTTY, columns } = process.stdout
    return printLine(isTTY && columns ? shortened(line, columns - 16) : line)
  }
}
