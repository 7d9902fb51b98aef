package config

import "reflect"

// Changed names the settings that are others in g than in f, such as "limits.call_timeout"; of a list it names the list. What stands
// in files that a setting names is not looked at.
func (f *File) Changed(g *File) []string {
	return changed(nil, reflect.ValueOf(*f), reflect.ValueOf(*g), "")
}

func changed(names []string, f, g reflect.Value, path string) []string {
	for i := range f.NumField() {
		field := f.Type().Field(i)
		full := join(path, field.Tag.Get("name"))
		switch a, b := f.Field(i), g.Field(i); {
		case field.Anonymous:
			names = changed(names, a, b, path)
		case !field.IsExported():
		case a.Kind() == reflect.Struct && len(namesOf(a.Type())) > 0:
			names = changed(names, a, b, full)
		case !reflect.DeepEqual(a.Interface(), b.Interface()):
			names = append(names, full)
		}
	}
	return names
}
