import { createInterface } from 'node:readline/promises'
import { textOption } from './option-values.js'
import { printable, printLine } from './printing.js'
import { defineCommand, queueArgument, queueUrl, withQueue } from './queue-arguments.js'
import { UsageError } from './usage-error.js'

/** `ptq purge` */
export const purgeCommand = defineCommand({
  command: 'purge <queue>',
  describe: 'Delete every task, also leased ones, and set the counts to 0; dead letters stay',
  builder: yargs =>
    queueArgument(yargs)
      .option('failed', { type: 'boolean', conflicts: ['all', 'native'], describe: 'Delete the dead letters only' })
      .option('all', { type: 'boolean', describe: 'Delete the tasks and the dead letters' })
      .option('dead-letter', textOption('--dead-letter', "The queue of the dead letters (default: the queue's own)"))
      .option('yes', { type: 'boolean', alias: 'y', describe: 'Do not ask' })
      .option('native', { type: 'boolean', describe: 'SQS: by its own PurgeQueue, within 60 seconds' })
      .example('# Asks first\n$0 purge ./queue', '')
      .example('$0 purge ./queue --failed --yes', '')
      .example('$0 purge sqs://tasks --yes --native', ''),
  handler: args =>
    withQueue(args.queue, args, async queue => {
      const { all = false, deadLetter, failed = false, native = false, yes = false } = args
      if (!yes && !process.stdin.isTTY) {
        throw new UsageError(`Expected --yes, since there is no terminal to ask whether to delete from ${queue.url}`)
      }
      const place = deadLetter === undefined ? {} : { deadLetter: queueUrl(deadLetter) }
      const { enqueued } = await queue.status()
      const letters = await queue.failed(place)
      const parts = [failed ? '' : countText(enqueued, 'task'), failed || all ? countText(letters, 'dead letter') : '']
      const what = parts.filter(part => part !== '').join(' and ')
      if (!yes && !(await agrees(`Delete ${what} of ${printable(queue.url)}? [y/N] `))) {
        throw new Error('Nothing was deleted')
      }
      if (!failed) await queue.purge({ native })
      if (failed || all) await queue.purgeFailures(place)
      await printLine(`Deleted ${what} of ${printable(queue.url)}`)
      if (!failed && !all && letters > 0) {
        await printLine(`${countText(letters, 'dead letter')} stayed: --failed deletes them, ptq retry puts them back`)
      }
    }),
})

function countText(count: number, what: string): string {
  return Number.isNaN(count) ? `all ${what}s` : `${count} ${what}${count === 1 ? '' : 's'}`
}

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
