import theme from 'vitepress/theme';
import './accessibility.css';

export default theme;
