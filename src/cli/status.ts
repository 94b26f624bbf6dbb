import { readOverview } from '../overview/overview.js'
import { interruptible } from './interruption.js'
import { numberOption } from './option-values.js'
import { jsonPrinter, printLine } from './printing.js'
import { defineCommand, queueArgument, withQueue } from './queue-arguments.js'
import { statusLines } from './status-lines.js'
import { watch } from './watch.js'

/** `ptq status` */
export const statusCommand = defineCommand({
  command: 'status <queue>',
  describe: 'Print how many tasks there are, in which states, and how many are done',
  builder: yargs =>
    queueArgument(yargs)
      .option('watch', {
        type: 'boolean',
        alias: 'w',
        describe: 'Again and again, with rate, ETA and the running workers',
      })
      .option('interval-sec', numberOption('--interval-sec', 'Seconds between two readings (default: 2)', { min: 0.1 }))
      .option('json', { type: 'boolean', describe: 'Print JSON; an unknown number is null' })
      .example('$0 status ./queue', '')
      .example('# Until Ctrl-C\n$0 status ./queue --watch', '')
      .example('$0 status sqs://tasks --region us-west-2 --json', ''),
  handler: args =>
    withQueue(args.queue, args, async queue => {
      const printJson = args.json ? await jsonPrinter({ nan: 'null' }) : undefined
      if (args.watch) {
        const { intervalSec: intervalSeconds = 2 } = args
        await interruptible(signal => watch(queue, { intervalSeconds, signal, printJson }), { quiet: true })
        return
      }
      const overview = await readOverview(queue)
      if (printJson !== undefined) await printJson(overview)
      else for (const line of statusLines(overview)) await printLine(line)
    }),
})
