import './world/globals.js';
import { runMain } from './run/command.js';

runMain(process.argv.slice(2));
