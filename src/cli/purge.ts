import { createInterface } from 'node:readline/promises'
import { defineCommand, queueArgument, withQueue } from './command.js'
import { countOf, printable, printLine } from './printing.js'
import { UsageError } from './usage-error.js'

/** `ptq purge` */
export const purgeCommand = defineCommand({
  command: 'purge <queue>',
  describe: 'Delete every task, whoever holds it, and set the counts to 0',
  builder: yargs =>
    queueArgument(yargs)
      .option('yes', { type: 'boolean', alias: 'y', describe: 'Do not ask' })
      .option('native', { type: 'boolean', default: false, describe: 'SQS: by its own PurgeQueue, within 60 seconds' })
      .example('# Asks first\n$0 purge ./queue', '')
      .example('$0 purge sqs://tasks --yes --native', ''),
  handler: args =>
    withQueue(args.queue, args, async queue => {
      if (!args.yes && !process.stdin.isTTY) {
        throw new UsageError(
          `Expected --yes, since there is no terminal to ask whether to delete all tasks of ${queue.url}`,
        )
      }
      const { enqueued } = await queue.status()
      const tasks = Number.isNaN(enqueued) ? 'all tasks' : countOf(enqueued)
      if (!args.yes && !(await agrees(`Delete ${tasks} of ${printable(queue.url)}? [y/N] `))) {
        throw new Error('Nothing was deleted')
      }
      await queue.purge({ native: args.native })
      await printLine(`Deleted ${tasks} of ${printable(queue.url)}`)
    }),
})

async function agrees(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    // Ctrl-C and Ctrl-D end the question without an answer.
    const ended = new Promise<string>(resolve => terminal.once('close', () => resolve('')))
    const answer = await Promise.race([terminal.question(question), ended])
    return /^y(?:es)?$/i.test(answer.trim())
  } finally {
    terminal.close()
  }
}
