import { readFileSync } from 'node:fs'
import { printLine } from './printing.js'
import { defineCommand } from './queue-arguments.js'

/** `ptq license` */
export const licenseCommand = defineCommand({
  command: 'license',
  describe: 'Print the license',
  builder: yargs => yargs.example('$0 license', ''),
  handler: () => printLine(readFileSync(new URL('../../../LICENSE', import.meta.url), 'utf8').trimEnd()),
})
