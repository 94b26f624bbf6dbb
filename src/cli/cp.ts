import { countOf, jsonPrinter, printable, printLine } from './printing.js'
import { defineCommand } from './queue-arguments.js'
import { contents, destinationStatus, transferArguments, withQueues } from './transfer-report.js'

/** `ptq cp` */
export const cpCommand = defineCommand({
  command: 'cp <source> <destination>',
  describe: 'Copy all tasks, as they are, into another queue; the same command continues one that was interrupted',
  builder: yargs =>
    transferArguments(yargs)
      .example('# Leased and delayed tasks are copied too, and ready in the copy\n$0 cp ./queue ./backup', '')
      .example('# SQS can be copied to; from there use mv\n$0 cp ./queue sqs://tasks', ''),
  handler: args =>
    withQueues(
      args,
      async (source, destination, signal) => {
        const copied = await source.copyTo(destination, { signal })
        const [from, to] = [await source.status(), await destinationStatus(destination)]
        if (args.json) {
          await (await jsonPrinter({ nan: 'null' }))({
            copied,
            interrupted: signal.aborted,
            source: from,
            destination: to ?? null,
          })
        } else {
          await printLine(`Copied ${countOf(copied)} from ${printable(source.url)} to ${printable(destination.url)}`)
          await printLine(`The source holds ${contents(from)}, the destination ${contents(to)}`)
        }
        if (signal.aborted) throw new Error('Interrupted: the same command copies the rest')
      },
      {
        notOnSqs: `can't be copied: SQS can't list its tasks without leasing them; ptq mv ${args.source} ${args.destination} moves them`,
      },
    ),
})
