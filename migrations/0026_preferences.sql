-- How one browser wants its pages, the browser keeps: no account ever had anything here.
alter table users drop column preferences;
