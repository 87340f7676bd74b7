/** Light, dark, or as the system has it. */
import { effect, signal } from './html.js';

const ALL = ['system', 'light', 'dark'];

export const theme = signal(stored());

effect(() => {
  document.documentElement.style.colorScheme = theme.value === 'system' ? '' : theme.value;
  try {
    localStorage.setItem('theme', theme.value);
  } catch {
    // a browser that keeps nothing shows the system's colours next time
  }
});

function stored() {
  try {
    return ALL.includes(localStorage.getItem('theme') ?? '') ? String(localStorage.getItem('theme')) : 'system';
  } catch {
    return 'system';
  }
}

export function cycleTheme() {
  theme.value = ALL[(ALL.indexOf(theme.value) + 1) % ALL.length];
}
