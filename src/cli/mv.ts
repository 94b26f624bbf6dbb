import { countOf, jsonPrinter, printable, printLine } from './printing.js'
import { defineCommand } from './queue-arguments.js'
import { contents, destinationStatus, settledStatus, transferArguments, withQueues } from './transfer-report.js'

/** `ptq mv` */
export const mvCommand = defineCommand({
  command: 'mv <source> <destination>',
  describe: 'Move all ready tasks, as they are, into another queue; the same command continues one that was killed',
  builder: yargs =>
    transferArguments(yargs)
      .example('# Leased and delayed tasks stay, and the exit code is 1\n$0 mv ./queue /shared/queue', '')
      .example('$0 mv sqs://tasks ./queue', ''),
  handler: args =>
    withQueues(args, async (source, destination, signal) => {
      const { moved, uncertain } = await source.moveTo(destination, { signal })
      const from = signal.aborted ? await source.status() : await settledStatus(source)
      const to = await destinationStatus(destination)
      if (args.json) {
        const result = { moved, uncertain, interrupted: signal.aborted, source: from, destination: to ?? null }
        await (await jsonPrinter({ nan: 'null' }))(result)
      } else {
        await printLine(`Moved ${countOf(moved)} from ${printable(source.url)} to ${printable(destination.url)}`)
        await printLine(`The source holds ${contents(from)}, the destination ${contents(to)}`)
      }
      if (uncertain > 0)
        throw new Error(`${countOf(uncertain)} may be in both queues: their leases ended while they were moved`)
      if (signal.aborted) throw new Error('Interrupted: the same command moves the rest')
      if (from.enqueued > 0) {
        throw new Error(
          `${contents(from)} stayed in ${source.url}: what is leased or delayed can be moved when it is ready again`,
        )
      }
    }),
})
